// expect: warning: required fields make 'Node' contain itself: no value can be complete
// expect: warning: required fields make 'A' contain itself: no value can be complete
// expect: hint: make it optional
// expect: const y_required_ring_node *next;
// expect: const y_required_ring_b *b;
// expect: const y_required_ring_a *a;
struct Node { 1: required Node next, 2: i32 item }
struct A { 1: required B b }
struct B { 1: required A a }
struct Holder { 1: required Node node }
