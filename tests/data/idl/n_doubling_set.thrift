// expect: error: constants and defaults are made of more than 1048576 values
const list<i32> L0 = [1]
typedef list<i32> T0
typedef list<T0> T1
const T1 L1 = [L0, L0]
typedef list<T1> T2
const T2 L2 = [L1, L1]
typedef list<T2> T3
const T3 L3 = [L2, L2]
typedef list<T3> T4
const T4 L4 = [L3, L3]
typedef list<T4> T5
const T5 L5 = [L4, L4]
typedef list<T5> T6
const T6 L6 = [L5, L5]
typedef list<T6> T7
const T7 L7 = [L6, L6]
typedef list<T7> T8
const T8 L8 = [L7, L7]
typedef list<T8> T9
const T9 L9 = [L8, L8]
typedef list<T9> T10
const T10 L10 = [L9, L9]
typedef list<T10> T11
const T11 L11 = [L10, L10]
typedef list<T11> T12
const T12 L12 = [L11, L11]
typedef list<T12> T13
const T13 L13 = [L12, L12]
typedef list<T13> T14
const T14 L14 = [L13, L13]
typedef list<T14> T15
const T15 L15 = [L14, L14]
typedef list<T15> T16
const T16 L16 = [L15, L15]
typedef list<T16> T17
const T17 L17 = [L16, L16]
typedef list<T17> T18
const T18 L18 = [L17, L17]
typedef list<T18> T19
const T19 L19 = [L18, L18]
typedef list<T19> T20
const T20 L20 = [L19, L19]
typedef list<T20> T21
const T21 L21 = [L20, L20]
typedef list<T21> T22
const T22 L22 = [L21, L21]
typedef list<T22> T23
const T23 L23 = [L22, L22]
typedef list<T23> T24
const T24 L24 = [L23, L23]
const set<T24> TWICE = [L24, L24]
