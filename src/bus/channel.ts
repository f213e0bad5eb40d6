/**
 * What joins the buses of the processes of one service: every message of every member reaches every member, its sender as well,
 * and all of them in one and the same order. So is told who comes and who goes. Nothing that is told is lost before a member goes;
 * what a member said before it went is told before its going.
 */
export interface Channel {
  /** Of this member; never given to another one. */
  readonly self: MemberId;
  /** Whoever is there now, without this one. */
  readonly others: readonly MemberId[];
  /** Plain values only: strings, numbers, booleans, lists and objects of these. */
  tell(message: unknown): void;
  /** Called once; what was told before is heard then. */
  attach(listener: ChannelListener): void;
}

export type MemberId = string;

export interface ChannelListener {
  onMessage(from: MemberId, message: unknown): void;
  /** One that comes has heard nothing of what was told before. */
  onJoin(member: MemberId): void;
  /** Its process is gone, and its connections with it. */
  onLeave(member: MemberId): void;
}
