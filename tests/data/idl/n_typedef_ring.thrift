// expect: error: the typedef 'A' refers to itself
// expect: error: the typedef 'C' refers to itself
typedef B A
typedef A B
typedef C C
struct S { 1: A a, 2: C c }
