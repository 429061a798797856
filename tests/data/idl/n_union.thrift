// expect: error: only one field of a union can have a default
union B { 1: i32 a = 1, 2: i32 b = 2 }
