// expect: error: the constant 'A' is made of itself
// expect: error: the constant 'D' is made of itself
const i32 A = B
const i32 B = A
const list<i32> C = [D]
const i32 D = D
