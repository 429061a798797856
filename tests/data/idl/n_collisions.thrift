// expect: error: two things would be named 'n_collisions_add_async' in C
// expect: error: two things would be named 'n_collisions_range' in C
// expect: error: two things would be named 'n_collisions_a_b' in C
// expect: error: two things would be named 'class_' in C
// expect: error: two things would be named 'client_' in C
// expect: note: the other one is here
struct Range { 1: i32 a }
struct A_b { 1: i32 x }
struct a_b { 1: i32 x }
struct Words { 1: i32 class, 2: i32 class_ }
service N_collisions {
  void add(), void add_async()
  void range()
  void args(1: i32 client, 2: i32 client_)
}
