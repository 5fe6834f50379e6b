----------------------------- MODULE CommandList -----------------------------
(* Models what a plan has for a lane: the command list that src/graph/plan_replay.c records for the    *)
(* lane's arena (record) and replays, src/runtime/workspace.c, which moves or clears the arena         *)
(* and counts its generation up, and who may touch it: the run that has leased the lane, and who      *)
(* clears lanes that are idle (Reclaim, SlotPool).                                                    *)
(* Promises: SAFE (a list is touched by who has its lane), REUSE (a list that was recorded for an     *)
(* arena is not replayed in another), FLAT (a list is destroyed before another takes its place).      *)
(*                                                                                                    *)
(* Grain: leasing and giving back a lane are actions, and so is each thing done to its arena or list. *)
(* Abstracted: what a list does; arenas of a device beside those of the host.                         *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Threads, Clearers, Lanes, Plans,
    Turns, \* of each thread: what it does
    Mutant

Everybody == Threads \cup Clearers
Nobody == "nobody"
None == "none"

VARIABLES
    owner,      \* of each lane
    arena,      \* of each lane: which arena it has, 0: none; never the same one again; a ghost
    generation, \* of each lane: how often its arena was moved or cleared, as the code counts it
    list,       \* of each lane and plan: the arena and the generation that its list was recorded for
    alive,      \* of each lane and plan: lists that were recorded and not destroyed
    lane, plan, \* of each thread
    arenas, turns, pc
vars == <<owner, arena, generation, list, alive, lane, plan, arenas, turns, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
NoList == [arena |-> 0, generation |-> 0]

Init ==
    /\ owner = [l \in Lanes |-> Nobody] /\ arena = [l \in Lanes |-> 0] /\ generation = [l \in Lanes |-> 0]
    /\ list = [l \in Lanes |-> [p \in Plans |-> NoList]] /\ alive = [l \in Lanes |-> [p \in Plans |-> 0]] /\ arenas = 0
    /\ lane = [t \in Everybody |-> None] /\ plan = [t \in Threads |-> None]
    /\ turns = [t \in Everybody |-> 0] /\ pc = [t \in Everybody |-> "out"]

Lease(t) ==
    /\ pc[t] = "out" /\ turns[t] < Turns /\ turns' = [turns EXCEPT ![t] = @ + 1]
    /\ \E l \in Lanes : /\ owner[l] = Nobody \/ (Mutant = "lease_ignored" /\ t \in Clearers)
                        /\ owner' = [owner EXCEPT ![l] = IF owner[l] = Nobody THEN t ELSE @] /\ lane' = [lane EXCEPT ![t] = l]
    /\ IF t \in Threads THEN \E p \in Plans : plan' = [plan EXCEPT ![t] = p] /\ Go(t, "arena")
       ELSE UNCHANGED plan /\ Go(t, "clear")
    /\ UNCHANGED <<arena, generation, list, alive, arenas>>

MakeArena(t) == \* large enough, or another
    LET l == lane[t] IN
    /\ pc[t] = "arena" /\ Go(t, "list") /\ UNCHANGED <<owner, list, alive, lane, plan, turns>>
    /\ \/ arena[l] # 0 /\ UNCHANGED <<arena, generation, arenas>>
       \/ /\ arenas' = arenas + 1 /\ arena' = [arena EXCEPT ![l] = arenas + 1]
          /\ generation' = [generation EXCEPT ![l] = IF Mutant = "moved_uncounted" THEN @ ELSE @ + 1]

Mine(t) == list[lane[t]][plan[t]]
Record(t) == \* unless there is a list for this arena; one for another is destroyed before
    LET l == lane[t] p == plan[t] IN
    /\ pc[t] = "list" /\ Go(t, "replay") /\ UNCHANGED <<owner, arena, generation, lane, plan, arenas, turns>>
    /\ IF Mine(t) # NoList /\ (Mine(t).generation = generation[l] \/ Mutant = "not_asked") THEN UNCHANGED <<list, alive>>
       ELSE /\ list' = [list EXCEPT ![l][p] = [arena |-> arena[l], generation |-> generation[l]]]
            /\ alive' = [alive EXCEPT ![l][p] = IF Mutant = "not_destroyed" THEN @ + 1 ELSE 1]

Replay(t) ==
    /\ pc[t] = "replay" /\ Go(t, "return") /\ UNCHANGED <<owner, arena, generation, list, alive, lane, plan, arenas, turns>>

Clear(t) == \* the arena of a lane that is idle goes back to the system; the list stays, for an arena that is gone
    LET l == lane[t] IN
    /\ pc[t] = "clear" /\ Go(t, "return") /\ arena' = [arena EXCEPT ![l] = 0]
    /\ generation' = [generation EXCEPT ![l] = IF Mutant = "cleared_anew" THEN 0 ELSE @ + 1]
    /\ UNCHANGED <<owner, list, alive, lane, plan, arenas, turns>>

Return(t) ==
    /\ pc[t] = "return" /\ Go(t, "out") /\ lane' = [lane EXCEPT ![t] = None]
    /\ owner' = [owner EXCEPT ![lane[t]] = IF @ = t THEN Nobody ELSE @]
    /\ UNCHANGED <<arena, generation, list, alive, plan, arenas, turns>>

Steps(t) == Lease(t) \/ MakeArena(t) \/ Record(t) \/ Replay(t) \/ Clear(t) \/ Return(t)
Ended == \A t \in Everybody : pc[t] = "out" /\ turns[t] = Turns
Next == (\E t \in Everybody : Steps(t)) \/ (Ended /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars
Alike == Permutations(Threads) \cup Permutations(Lanes) \cup Permutations(Plans)

\* ---- what must hold
OneUser == \A s, t \in Everybody : s # t /\ lane[s] # None => lane[s] # lane[t]
OwnArena == \A t \in Threads : pc[t] = "replay" => Mine(t).arena = arena[lane[t]] /\ arena[lane[t]] # 0
OneList == \A l \in Lanes, p \in Plans : alive[l][p] <= 1
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_device_lease hd_slot_pool_take_idle: Lease
  hd_workspace_reserve_arena: MakeArena
  record hd_plan_is_recorded: Record
  replay_recipe: Replay
  hd_workspace_clear: Clear
  hd_device_return hd_slot_pool_return: Return

properties: the promise, and what asserts it in the code
  OneUser: SAFE explorer:race
  OwnArena: REUSE BITS.result explorer:freed
  OneList: FLAT explorer:leak
