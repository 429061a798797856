// expect: error: constants and defaults have more than 1048576 values
// expect-not: internal
const list<i32> L0 = [1]
typedef list<i32> T0
typedef list<T0> T1
const T1 L1 = [L0, L0, L0, L0, L0, L0, L0, L0]
typedef list<T1> T2
const T2 L2 = [L1, L1, L1, L1, L1, L1, L1, L1]
typedef list<T2> T3
const T3 L3 = [L2, L2, L2, L2, L2, L2, L2, L2]
typedef list<T3> T4
const T4 L4 = [L3, L3, L3, L3, L3, L3, L3, L3]
typedef list<T4> T5
const T5 L5 = [L4, L4, L4, L4, L4, L4, L4, L4]
typedef list<T5> T6
const T6 L6 = [L5, L5, L5, L5, L5, L5, L5, L5]
typedef list<T6> T7
const T7 L7 = [L6, L6, L6, L6, L6, L6, L6, L6]
typedef list<T7> T8
const T8 L8 = [L7, L7, L7, L7, L7, L7, L7, L7]
typedef list<T8> T9
const T9 L9 = [L8, L8, L8, L8, L8, L8, L8, L8]
typedef list<T9> T10
const T10 L10 = [L9, L9, L9, L9, L9, L9, L9, L9]
