// 'stream' is a keyword only before '<'.
namespace * stream_name
struct stream { 1: i32 stream }
service V { void stream(), stream<stream> all(1: stream<stream> stream), stream take(1: stream one) }
