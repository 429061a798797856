// expect: error: 'A' holds itself, by way of this required field
// expect: hint: make it optional
struct A { 1: required B b }
struct B { 1: required A a }
