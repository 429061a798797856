namespace * definitions
enum E { A = 1, B = 2, C = 3, D = 4 }
union U { 1: i32 a, 2: i32 b, 3: string c }
struct S { 1: i32 a, 2: optional i32 b, 3: i32 c, 4: list<i32> d = [1], 5: i32 e, 6: i32 f = 1, 7: i32 g, 9: i32 reused }
struct BecomesUnion { 1: optional i32 a }
exception Gone { 1: i32 a }
struct Dropped { 1: i32 a }
typedef i32 Number
typedef list<i32> Numbers
const i32 LIMIT = 5
const list<i32> LIST = [1, 2]
const map<string, S> SAME = {"a": {"a": 1}}
const i32 KIND = 1
const i32 LOST = 1
enum Lost { X }
