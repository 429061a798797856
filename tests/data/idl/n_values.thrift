// expect: error: 'A' is i32, but this is a string
// expect: error: 'B' is a string, but this is an integer
// expect: error: 'C' is a list, but this is a map
// expect: warning: the element appears twice
// expect: warning: the key appears twice: the last value wins
// expect: error: 'Point' has no field 'z'
// expect: error: the required field 'x' is missing
// expect: error: there is no constant or enum value 'NOPE'
// expect: error: 'Other.X' is a value of the enum 'Other', but 'I' has the enum 'Color'
// expect: error: 'not-a-uuid' is not a uuid
// expect: error: a union has exactly one of its fields
// expect: error: 2 does not fit into 'L', which is bool
// expect: error: 'M' is a double, but this is a string
// expect: error: 'Svc' is a service, not a type
enum Color { RED }
enum Other { X }
struct Point { 1: required i32 x, 2: i32 y }
union U { 1: i32 a, 2: i32 b }
const i32 A = "text"
const string B = 5
const list<i32> C = {1: 2}
const set<i32> D = [1, 2, 1]
const map<string, i32> E = {"a": 1, "a": 2}
const Point F = {"x": 1, "z": 2}
const Point G = {"y": 1}
const i32 H = NOPE
const Color I = Other.X
const uuid J = "not-a-uuid"
const U K = {"a": 1, "b": 2}
const bool L = 2
const double M = "1.0"
service Svc { }
struct N { 1: Svc s }
