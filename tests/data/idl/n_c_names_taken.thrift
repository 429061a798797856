// expect: error: two things would be named 'n_c_names_taken_b' in C
// expect: error: two things would be named 'same' in C
struct B { 1: i32 x (c.name = "same"), 2: i32 y (c.name = "same") }
struct D { } (c.name = "b")
