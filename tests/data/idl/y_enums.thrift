namespace * enums

enum Plain { A, B, C }
enum Numbered { ONE = 1, TWO, TEN = 10, ELEVEN, MINUS = -3, LOWEST = -2147483648, HIGHEST = 2147483647 }
enum Hex { X = 0x10; Y = 0x20 (note = "hex"); Z, } (cpp.name = "H")
enum Empty { }
enum Keywords { string, i32, struct, default, NULL, true }

struct Uses { 1: Plain plain, 2: optional Numbered numbered = Numbered.TWO, 3: list<Hex> hexes, 4: map<Plain, Numbered> m, 5: Empty e }

service Enums { Plain echo(1: Plain p, 2: Numbered n) }
