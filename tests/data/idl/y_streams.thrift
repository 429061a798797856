namespace * streams

struct Item { 1: i32 n }
enum Kind { A }

service Streams {
  stream<i32> numbers(1: i32 below) (timeout = "10s")
  stream<Item> items()
  stream<binary> download(1: string path)
  i64 sum(1: stream<i32> numbers)
  void upload(1: string path, 2: stream<binary> parts)
  Item last(1: stream<Item> items, 2: i32 skip)
  stream<string> talk(1: stream<string> words)
  stream<list<Kind>> lists(1: stream<uuid> ids)
  stream<Kind> kinds(1: stream<Kind> kinds)
}
