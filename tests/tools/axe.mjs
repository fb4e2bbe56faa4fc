// Looks at HTML pages with axe-core in Chromium: light, dark, and 400 pixels wide.
//
//     npm install --no-save --prefix /tmp/axe axe-core puppeteer-core
//     NODE_PATH=/tmp/axe/node_modules node tests/tools/axe.mjs out/*.html
//
// With --pictures FOLDER it writes a screenshot of each. It ends with 1 if anything is
// wrong: a violation of axe's rules (WCAG 2.2 A and AA, and its best practices), a page
// wider than the window, or a word on the console. CHROMIUM names another browser.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// `import` does not read NODE_PATH, `require` does.
const require = createRequire(import.meta.url);
const puppeteer = require("puppeteer-core");
const axe = require.resolve("axe-core/axe.min.js");

const words = process.argv.slice(2);
const at = words.indexOf("--pictures");
const pictures = at < 0 ? null : words.splice(at, 2)[1];
if (pictures) mkdirSync(pictures, { recursive: true });

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
let wrong = 0;
const tell = (text) => { wrong += 1; console.log(text); };

for (const file of words) {
  for (const theme of ["light", "dark"]) {
    for (const width of [1200, 400]) {
      const name = `${basename(file, ".html")}-${theme}-${width}`;
      const page = await browser.newPage();
      page.on("console", (said) => tell(`${name}: console: ${said.text()}`));
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
      await page.goto(pathToFileURL(resolve(file)).href);
      if (pictures) {
        const path = join(pictures, `${name}.png`);
        await page.screenshot({ path, fullPage: true });
      }
      // What is folded away is read, too, once it is unfolded.
      await page.$$eval("details", (all) => all.forEach((one) => { one.open = true; }));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) tell(`${name}: ${wide} pixels wide`);
      await page.addScriptTag({ path: axe });
      const found = await page.evaluate(() => globalThis.axe.run());
      for (const { id, help, nodes } of found.violations) {
        tell(`${name}: ${id}, ${nodes.length} times: ${help}\n  ${nodes[0].html}`);
      }
      console.log(`${name}: ${found.passes.length} rules hold`);
      await page.close();
    }
  }
}
await browser.close();
process.exitCode = wrong ? 1 : 0;
