// Reads .tflite files with Netron's parser and prints what it would draw, as JSON.
//     node netron.mjs FOLDER_OF_NETRON FILE...

import * as fs from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...paths] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${folder}/${name}.js`));
const { BinaryReader } = await load("flatbuffers");
const { ModelFactory } = await load("tflite");

const found = [];
for (const path of paths) {
    const reader = BinaryReader.open(new Uint8Array(fs.readFileSync(path)));
    const model = await new ModelFactory().open({
        type: "tflite.flatbuffers",
        value: reader,
        stream: reader,
        require: load,
        // Descriptions of operators, for the page alone.
        metadata: async () => ({ type: (name) => ({ name }), attribute: () => null }),
    });
    found.push({
        inputs: model.modules[0].inputs.map((input) => input.name),
        outputs: model.modules[0].outputs.map((output) => output.name),
        graphs: model.modules.map((graph) => graph.nodes.map((node) => node.type.name)),
    });
}
console.log(JSON.stringify(found));
