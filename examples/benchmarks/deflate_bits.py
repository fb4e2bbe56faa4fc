"""The bits that each byte of a file takes in its deflate stream.

A decoder (RFC 1951) that notes what it reads for each byte that it writes; a repetition
is shared out evenly among its bytes.
"""

import numpy as np

# Base and extra bits of the codes of lengths and distances.
LENGTHS = [(n, 0) for n in range(3, 11)]
for _bits in range(1, 6):
    LENGTHS += [(LENGTHS[-1][0] + 2 ** LENGTHS[-1][1], _bits)]
    LENGTHS += [(LENGTHS[-1][0] + n * 2**_bits, _bits) for n in (1, 2, 3)]
LENGTHS += [(258, 0)]
DISTANCES = [(n, 0) for n in range(1, 5)]
for _bits in range(1, 14):
    DISTANCES += [(DISTANCES[-1][0] + 2 ** DISTANCES[-1][1], _bits)]
    DISTANCES += [(DISTANCES[-1][0] + 2**_bits, _bits)]
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
REPEATS = {16: (3, 2), 17: (3, 3), 18: (11, 7)}
END = 256


class Bits:
    """A stream of bits, read from the lowest of each byte."""

    def __init__(self, content):
        flat = np.frombuffer(content, np.uint8)
        self.bits = np.unpackbits(flat, bitorder="little").tolist()
        self.place = 0

    def number(self, count):
        bits = self.bits[self.place : self.place + count]
        self.place += count
        return sum(bit << i for i, bit in enumerate(bits))

    def symbol(self, codes):
        code, length = 0, 0
        while (length, code) not in codes:
            code, length = 2 * code + self.bits[self.place], length + 1
            self.place += 1
        return codes[length, code]


def codes_of(lengths):
    """The symbols by length and code."""
    code, found = 0, {}
    for length in range(1, 16):
        for symbol in (i for i, n in enumerate(lengths) if n == length):
            found[length, code] = symbol
            code += 1
        code *= 2
    return found


def tables(stream):
    """The codes of a block of its own codes."""
    literals, distances = stream.number(5) + 257, stream.number(5) + 1
    lengths = [0] * len(ORDER)
    for place in ORDER[: stream.number(4) + 4]:
        lengths[place] = stream.number(3)
    codes, found = codes_of(lengths), []
    while len(found) < literals + distances:
        symbol = stream.symbol(codes)
        if symbol < 16:
            found.append(symbol)
        else:
            least, extra = REPEATS[symbol]
            value = found[-1] if symbol == 16 else 0
            found += [value] * (least + stream.number(extra))
    return codes_of(found[:literals]), codes_of(found[literals:])


FIXED = codes_of([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), codes_of([5] * 30)


def bits_per_byte(deflated):
    """The bits of each byte that a raw deflate stream stands for.

    What is left of the stream are the codes' tables and the ends of blocks.
    """
    stream, found, is_last = Bits(deflated), [], False
    while not is_last:
        is_last, kind = stream.number(1), stream.number(2)
        if kind == 0:
            stream.place += -stream.place % 8
            count = stream.number(16)
            stream.place += 16 + 8 * count
            found += [8.0] * count
        else:
            found += of_block(stream, *(FIXED if kind == 1 else tables(stream)))
    return np.array(found)


def of_block(stream, literals, distances):
    found = []
    while True:
        start = stream.place
        symbol = stream.symbol(literals)
        if symbol == END:
            return found
        count = 1
        if symbol > END:
            least, extra = LENGTHS[symbol - END - 1]
            count = least + stream.number(extra)
            stream.number(DISTANCES[stream.symbol(distances)][1])
        found += [(stream.place - start) / count] * count
