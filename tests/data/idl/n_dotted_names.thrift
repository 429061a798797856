// expect: error: a declared name has no dots
struct a.b { 1: i32 x }
struct C { 1: i32 x.y }
