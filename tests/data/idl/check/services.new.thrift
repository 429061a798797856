// expect: error: the wire name of 'Wired' changed from 'old.Wired' to 'new.Wired'
// expect: error: 'Loses' no longer has the method 'a'
// expect: error: 'Loses' no longer has the method 'b'
// expect: error: 'Swaps' no longer has the method 'b'
// expect: error: the service 'Renamed' was removed
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
