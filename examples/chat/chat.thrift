// SPDX-License-Identifier: Apache-2.0
namespace * chat

/** Topics of rooms begin so; the room's name follows. */
const string TOPIC = "chat.room."

/** A room keeps this many lines for members who join later. */
const i32 HISTORY = 16

/** The most members in a room. */
const i32 ROOM_SIZE = 100

enum Kind {
  SAID = 1
  JOINED = 2
  LEFT = 3
  /** Left without saying so: the connection was lost, or the program died. */
  VANISHED = 4
}

/** A line on the topic of a room. */
struct Line {
  1: i64 number
  2: Kind kind
  3: string who
  4: string text
  /** Milliseconds since 1970. */
  5: i64 at_ms
}

/** The first item of a new member. */
struct Welcome {
  /** Pass it to `say` and `leave`. Other members do not know it. */
  1: uuid ticket
  /** The number of the line that announces you. */
  2: i64 number
  /** The members, you included. */
  3: list<string> members
}

/** A name, of a room or of a member, is 1 to 32 letters, digits, '-' and '_'. */
exception BadName {
  1: string name
  2: string message
}

/** A member of the room has this name already. */
exception NameTaken {
  1: string room
  2: string name
}

/** The room is full. */
exception RoomFull {
  1: string room
  2: i32 members
}

/** No member of a room has this ticket. */
exception NotAMember {
}

/** A line is 1 to 1000 bytes. */
exception BadLine {
  1: i32 length
  2: i32 limit
}

/**
 * A group chat: rooms with their members and their last lines.
 *
 * A member is in a room for as long as its `join` stream is open. If its client
 * crashes, the stream breaks and the server announces it. Everything that happens in a room is a
 * line on the topic `chat.room.NAME`, numbered from 1 without a gap.
 */
service Chat {
  /**
   * Enters a room, and stays while the stream is open.
   *
   * The first item, the welcome, comes at once, and no other item follows. The stream ends when the
   * member leaves. A member may be silent for an hour.
   */
  stream<Welcome> join(1: string room, 2: string name) throws (1: BadName bad_name, 2: NameTaken taken, 3: RoomFull full) (timeout = "1h")

  /** Says something to all members of the room; returns the number of the line. */
  i64 say(1: uuid ticket, 2: string text) throws (1: NotAMember not_a_member, 2: BadLine bad_line)

  /** Leaves the room. */
  void leave(1: uuid ticket) throws (1: NotAMember not_a_member)

  /** The members of a room in the order in which they joined; empty if there is no such room. */
  list<string> members(1: string room) (idempotent = "true")

  /** The rooms that have members. */
  list<string> rooms() (idempotent = "true")
}
