namespace * constants

enum Op { ADD = 1, SUB, MUL = 0x10 }

struct Point { 1: i32 x, 2: i32 y = 7, 3: optional string label }
struct Line { 1: Point from, 2: Point to, 3: list<Point> via, 4: map<string, i64> sizes, 5: set<Op> ops }
union Shape { 1: Point point, 2: Line line, 3: i32 number }

const i32 FIVE = 5
const i32 ALSO_FIVE = FIVE
const Op OP = Op.SUB
const Op SHORT = MUL
const Op NUMBER = 1
const i32 OP_NUMBER = Op.MUL
const list<i32> NUMBERS = [1, 2; 3 4 FIVE]
const list<string> WORDS = ["a", "b"]
const set<string> SET = ["a", "b",]
const set<Op> OPS = [Op.ADD, SUB]
const list<i32> NONE = []
const map<string, i32> NO_MAP = {}
const map<string, i32> MAP = {"a": 1, "b": FIVE; "c": 3}
const map<i32, list<string>> NESTED = {1: ["x"], 2: [], 3: ["y", "z"]}
const Point ORIGIN = {"x": 0, "y": 0}
const Point LABELLED = {"x": 1, "label": "one"}
const Line LINE = {"from": ORIGIN, "to": {"x": 3}, "via": [ORIGIN, {"x": 1, "y": 2}], "sizes": {"a": 1}, "ops": [Op.ADD]}
const Shape SHAPE = {"point": {"x": 1, "y": 2}}
const Shape OTHER = {"number": 4}
const list<Shape> SHAPES = [SHAPE, {"line": LINE}]
const i32 LATER = LAST
const i32 LAST = 9

struct Defaults {
  1: i32 a = 1
  2: string b = "b"
  3: list<i32> c = NUMBERS
  4: Op d = Op.MUL
  5: Point e = {"x": 5}
  6: map<string, Point> f = {"o": ORIGIN}
  7: optional i32 g = 70
  8: optional string h = "eight"
  9: optional list<string> i = ["i", "ii"]
  10: optional Point j = {"x": 10}
  11: double k = 2
  12: bool l = true
  13: i64 m = 1000000000000
  14: uuid n = "00000000-0000-0000-0000-000000000001"
  15: binary o = "raw"
  16: required i32 p = 16
  17: Shape q = {"number": 3}
}

service Constants {
  Defaults with_defaults(1: i32 a = 5, 2: string b = "text", 3: list<i32> c = [1, 2], 4: Defaults d, 5: optional i32 e = 3)
}
