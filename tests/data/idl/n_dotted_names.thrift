// expect: error: a name that is declared has no dots
struct a.b { 1: i32 x }
struct C { 1: i32 x.y }
