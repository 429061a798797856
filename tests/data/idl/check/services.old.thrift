namespace * services
exception Plain { 1: i32 a }
exception Wired { 1: i32 a } (wire.name = "old.Wired")
service Base { void a(), void b() }
service Other { void a() }
service Keeps extends Base { void own() }
service Flattens extends Base { void own() }
service Loses extends Base { void own() }
service Swaps extends Base { void own() }
service Renamed { }
