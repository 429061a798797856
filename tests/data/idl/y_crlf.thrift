// Lines as in DOS.
namespace * crlf

/** Two
 * lines. */
struct A {
  1: i32 x, // one
  2: i32 y
}
# end
service S { void a() }