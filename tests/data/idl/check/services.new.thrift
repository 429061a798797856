// expect: error: on the wire 'Wired' was named 'old.Wired', and is 'new.Wired' now
// expect: error: 'Loses' has no method 'a' any more
// expect: error: 'Loses' has no method 'b' any more
// expect: error: 'Swaps' has no method 'b' any more
// expect: error: the service 'Renamed' is gone
// expect-not: 'Keeps'
// expect-not: 'Flattens'
namespace * services
exception Plain { 1: i32 a }
exception Wired { 1: i32 a } (wire.name = "new.Wired")
service Base { void a(), void b(), void c() }
service Other { void a() }
service Middle extends Base { }
service Keeps extends Middle { void own() }
service Flattens { void own(), void a(), void b() }
service Loses { void own() }
service Swaps extends Other { void own() }
service NewName { }
