// expect: error: the constant 'A' contains itself
// expect: error: the constant 'D' contains itself
const i32 A = B
const i32 B = A
const list<i32> C = [D]
const i32 D = D
