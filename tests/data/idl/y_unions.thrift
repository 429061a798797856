namespace * unions

struct Circle { 1: double radius }
union Shape {
  1: Circle circle
  2: double square (unit = "cm")
  3: list<Shape> many
  4: Shape inner
  5: string which
  6: string text
}
union Defaulted { 1: i32 a = 4, 2: string b }
struct Holder { 1: Shape shape, 2: optional Shape maybe, 3: list<Shape> all, 4: map<string, Shape> named, 5: Defaulted d }

service Unions { Shape echo(1: Shape shape), list<Shape> all() }
