// expect: error: the typedef 'A' is made of itself
// expect: error: the typedef 'C' is made of itself
typedef B A
typedef A B
typedef C C
struct S { 1: A a, 2: C c }
