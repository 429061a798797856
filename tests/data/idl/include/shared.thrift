namespace * shared

struct Common { 1: i32 id, 2: optional string note }
enum Level { LOW = 1, HIGH = 2 }
typedef list<Common> Commons
union Any { 1: i32 number, 2: Common common }
exception NotFound { 1: string what }
const i32 LIMIT = 10
const Common DEFAULT = {"id": 1}

service Base {
  void ping()
  Common get(1: i32 id) throws (1: NotFound missing)
  Commons all(1: list<Common> some)
}
