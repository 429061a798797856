// expect: no breaking changes
namespace * doubling
typedef i32 T0
typedef map<T0, T0> T1
typedef map<T1, T1> T2
typedef map<T2, T2> T3
typedef map<T3, T3> T4
typedef map<T4, T4> T5
typedef map<T5, T5> T6
typedef map<T6, T6> T7
typedef map<T7, T7> T8
typedef map<T8, T8> T9
typedef map<T9, T9> T10
typedef map<T10, T10> T11
typedef map<T11, T11> T12
typedef map<T12, T12> T13
typedef map<T13, T13> T14
typedef map<T14, T14> T15
typedef map<T15, T15> T16
typedef map<T16, T16> T17
typedef map<T17, T17> T18
typedef map<T18, T18> T19
typedef map<T19, T19> T20
typedef map<T20, T20> T21
typedef map<T21, T21> T22
typedef map<T22, T22> T23
typedef map<T23, T23> T24
typedef map<T24, T24> T25
typedef map<T25, T25> T26
typedef map<T26, T26> T27
typedef map<T27, T27> T28
typedef map<T28, T28> T29
typedef map<T29, T29> T30
typedef map<T30, T30> T31
typedef map<T31, T31> T32
typedef map<T32, T32> T33
typedef map<T33, T33> T34
typedef map<T34, T34> T35
typedef map<T35, T35> T36
typedef map<T36, T36> T37
typedef map<T37, T37> T38
typedef map<T38, T38> T39
typedef map<T39, T39> T40
struct S { 1: T40 a }
service X { T40 m(1: T40 a) }
struct More { }
