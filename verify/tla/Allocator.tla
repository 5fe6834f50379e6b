------------------------------ MODULE Allocator -----------------------------
(* Models src/runtime/allocator.c: hd_allocator_allocate (take, make_segment, release_cache,         *)
(* wait_for_progress), hd_allocator_free, hd_allocator_record, note_reached, of stream_cache.c       *)
(* hd_stream_cache_take, _free and _record, and of timeline.c hd_timeline_signal and                 *)
(* hd_timeline_set_watch.                                                                            *)
(* Promises: REUSE (nobody has a block that the device may still touch for another), BOUND (whoever  *)
(* waits without a limit has a block in the end, where one comes), SAFE (in use + cached + on the    *)
(* way = the limit).                                                                                 *)
(*                                                                                                   *)
(* Grain: what happens while a stream's lock is held is one action. What happens while the           *)
(* allocator's lock is held is one, too, but that a hit and a free, which take a stream's lock only, *)
(* may come between the look and the announcement of one who finds nothing (Allocate, Announce).     *)
(* Within one look the streams are looked at one after the other; a block that is freed behind the   *)
(* look is as one that is freed after it, since blocks come to other streams under the allocator's   *)
(* lock only. set_watch and signal are one action each, by the timeline's lock and handshake.        *)
(* Abstracted: all blocks are of one size, each a segment of its own, and the limit is their number, *)
(* so a block is in use, free, in somebody's hands, or the system's. Each user has a stream of his   *)
(* own, submits at most one piece of work to it for each block that he had, and the block may be     *)
(* recorded on other streams, on each as often as it has got a new point. With Recording streams have *)
(* work in flight from the start, and get one more. Cutting, joining and descriptions are left to the *)
(* explorer.                                                                                         *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Users,
    Streams, Home(_), \* and the stream that each user allocates for
    Blocks,
    Rounds, \* blocks that each user takes in turn
    Recording, \* whether a block may be recorded on another user's stream
    Mutant

Nobody == "nobody"
None == "none"
Never == 99 \* a point that is never reached: of a watch that is taken for set and is in no list

VARIABLES
    state,     \* of each block: "system", "use", "cached", "recorded", "common", "hand", "none"
    owner,     \* its stream
    point,     \* of its own stream when it was freed
    records,   \* stream -> point that it was recorded at; 0: not
    touched,   \* <<stream, point, user, round>> of works in flight that use the block, and whose it was then: what REUSE is
               \* about; a ghost
    submitted, completed, \* of each stream
    armed,     \* of each stream: the point that its watch waits for; 0: not armed
    lock, \* whose the allocator's lock is between two actions
    news, transit, \* under the lock; transit: users who carry memory; news: users since whose look the free blocks
                   \* have become more (the code counts progress, and they compare)
    seekers, \* users who found nothing: who frees a block meanwhile tells them
    asleep,    \* waiting on the condition and not yet woken
    leaving,   \* of each user: blocks that it carries back to the system
    carried,   \* of each user: how many segments of the system it has in hand
    toArm,     \* of each user: <<stream, point>> for which it is about to set the stream's watch
    held,      \* of each user: the block that it has
    round, pc

vars == <<state, owner, point, records, touched, submitted, completed, armed, lock, news, transit, seekers,
          asleep, leaving, carried, toArm, held, round, pc>>
blockVars == <<state, owner, point, records, touched>>
lineVars == <<submitted, completed>>
userVars == <<leaving, carried, toArm, held, round>>
waitVars == <<armed, lock, news, transit, seekers, asleep>>

Go(u, where) == pc' = [pc EXCEPT ![u] = where]
Reached(s, p) == completed[s] >= p
Settled(b) == \A s \in Streams : Reached(s, records[b][s]) \/ Mutant = "record_ignored"
Done(b) == Settled(b) /\ (Reached(owner[b], point[b]) \/ Mutant = "point_not_asked")

InitWith(there) == \* the blocks that the limit allows
    /\ state = [b \in Blocks |-> IF b \in there THEN "system" ELSE "none"] /\ owner = [b \in Blocks |-> Nobody]
    /\ point = [b \in Blocks |-> 0] /\ records = [b \in Blocks |-> [s \in Streams |-> 0]]
    /\ touched = [b \in Blocks |-> {}]
    /\ submitted = [s \in Streams |-> IF Recording THEN 1 ELSE 0] /\ completed = [s \in Streams |-> 0]
    /\ armed = [s \in Streams |-> 0] /\ lock = Nobody /\ news = {} /\ transit = {} /\ seekers = {}
    /\ asleep = {}
    /\ leaving = [u \in Users |-> {}] /\ carried = [u \in Users |-> None] /\ toArm = [u \in Users |-> {}]
    /\ held = [u \in Users |-> None] /\ round = [u \in Users |-> 0] /\ pc = [u \in Users |-> "out"]

Init == InitWith(Blocks)

\* ---- hd_allocator_allocate
\* What collect makes of the freed blocks: common, or its stream's.
Collected == [b \in Blocks |->
    IF state[b] \in {"cached", "recorded"} /\ Done(b) THEN "common"
    ELSE IF state[b] = "recorded" /\ Settled(b) THEN "cached" ELSE state[b]]
Grown == \E b \in Blocks : Collected[b] # state[b]
MayTake(u, b) == Collected[b] = "common" \/ (Collected[b] = "cached" /\ owner[b] = Home(u))
\* Those who compare progress later; to the others it means nothing.
Comparing == {u \in Users : pc[u] \in {"grow", "release", "give_back_own", "given_own", "regrow", "fail", "arm",
                                      "sleep"}}
MoreIsFree == news' = Comparing
Unlocked == lock = Nobody \* the action takes the allocator's lock, and lets it go
Wake == IF Mutant = "signal_one" /\ asleep # {} THEN \E w \in asleep : asleep' = asleep \ {w} ELSE asleep' = {}

TakeBlock(u, b, from) == \* the block is u's; nothing of its past matters any more
    /\ state' = [from EXCEPT ![b] = "use"] /\ owner' = [owner EXCEPT ![b] = Home(u)]
    /\ records' = [records EXCEPT ![b] = [s \in Streams |-> 0]]
    /\ held' = [held EXCEPT ![u] = b] /\ UNCHANGED <<point, touched>>

Return(u) == Go(u, "have") /\ seekers' = seekers \ {u}

Hit(u) == \* under the stream's lock only
    /\ pc[u] = "out" /\ round[u] < Rounds /\ u \notin seekers /\ Mutant \notin {"found_then_unlocked", "hit_unlocked"}
    /\ \E b \in Blocks : state[b] = "cached" /\ owner[b] = Home(u) /\ TakeBlock(u, b, state)
    /\ Return(u) /\ UNCHANGED <<lineVars, armed, lock, news, transit, asleep, leaving, carried, toArm, round>>

HitUnlocked(u) == \* mutant: a cached block is found, and taken after the stream's lock was dropped
    /\ Mutant = "hit_unlocked"
    /\ \/ /\ pc[u] = "out" /\ round[u] < Rounds /\ u \notin seekers
          /\ \E b \in Blocks : state[b] = "cached" /\ owner[b] = Home(u) /\ held' = [held EXCEPT ![u] = b]
          /\ Go(u, "found") /\ UNCHANGED blockVars
       \/ pc[u] = "found" /\ TakeBlock(u, held[u], state) /\ Go(u, "have")
    /\ UNCHANGED <<lineVars, waitVars, leaving, carried, toArm, round>>

\* A look: takes what may be had; nothing: on to memory of the system.
Found(u) == /\ \E b \in Blocks : MayTake(u, b) /\ TakeBlock(u, b, Collected)
            /\ Return(u) /\ lock' = Nobody /\ news' = (IF Grown THEN Comparing ELSE news)
            /\ UNCHANGED transit
Nothing(u) == /\ state' = Collected /\ news' = (IF Grown THEN Comparing ELSE news) \ {u}
              /\ transit' = transit \cup {u} /\ Go(u, "grow")
              /\ lock' = Nobody /\ UNCHANGED <<owner, point, records, touched, held>>
NoneMay(u) == \A b \in Blocks : ~MayTake(u, b)

Allocate(u) == \* the first look; who finds nothing keeps the lock to say so
    /\ pc[u] = "out" /\ round[u] < Rounds /\ Unlocked /\ Mutant # "found_then_unlocked"
    /\ \/ Found(u)
       \/ NoneMay(u) /\ u \in seekers /\ Nothing(u) /\ UNCHANGED seekers
       \/ /\ NoneMay(u) /\ u \notin seekers /\ state' = Collected /\ lock' = u /\ Go(u, "announce")
          /\ news' = (IF Grown THEN Comparing ELSE news)
          /\ UNCHANGED <<owner, point, records, touched, held, transit, seekers>>
    /\ UNCHANGED <<lineVars, armed, asleep, leaving, carried, toArm, round>>

Announce(u) == \* and looks again
    /\ pc[u] = "announce"
    /\ \/ Found(u)
       \/ NoneMay(u) /\ Nothing(u) /\ seekers' = seekers \cup {u}
    /\ UNCHANGED <<lineVars, armed, asleep, leaving, carried, toArm, round>>

Find(u) == \* mutant: a block is found, and taken after the lock was dropped
    /\ Mutant = "found_then_unlocked"
    /\ \/ /\ pc[u] = "out" /\ round[u] < Rounds
          /\ \E b \in Blocks : MayTake(u, b) /\ held' = [held EXCEPT ![u] = b] /\ Go(u, "found")
          /\ state' = Collected /\ UNCHANGED <<owner, point, records, touched>>
       \/ pc[u] = "found" /\ TakeBlock(u, held[u], state) /\ Go(u, "have")
       \/ /\ pc[u] = "out" /\ round[u] < Rounds /\ \A b \in Blocks : ~MayTake(u, b)
          /\ \E b \in Blocks : state[b] = "system" /\ TakeBlock(u, b, state) /\ Go(u, "have")
    /\ UNCHANGED <<lineVars, waitVars, leaving, carried, toArm, round>>

TakeSegment(u) == \* under no lock: the account and the system; at first with nothing given back
    /\ pc[u] \in {"grow", "regrow"}
    /\ IF \E b \in Blocks : state[b] = "system"
       THEN \E b \in Blocks : /\ state[b] = "system" /\ state' = [state EXCEPT ![b] = "hand"]
                              /\ carried' = [carried EXCEPT ![u] = b] /\ Go(u, "add")
       ELSE Go(u, IF pc[u] = "grow" THEN "release" ELSE "fail") /\ UNCHANGED <<state, carried>>
    /\ UNCHANGED <<owner, point, records, touched, lineVars, waitVars, leaving, toArm, held, round>>

AddSegment(u) == \* under the lock again, and taken at once
    /\ pc[u] = "add" /\ Unlocked /\ TakeBlock(u, carried[u], state) /\ carried' = [carried EXCEPT ![u] = None]
    /\ transit' = transit \ {u} /\ MoreIsFree /\ Wake /\ Return(u)
    /\ UNCHANGED <<lineVars, armed, lock, leaving, toArm, round>>

\* All that nobody has leaves the cache; it comes to the system later.
TakeOut(u) ==
    LET free == {b \in Blocks : Collected[b] = "common"} IN
    /\ state' = [b \in Blocks |-> IF b \in free THEN "hand" ELSE Collected[b]]
    /\ leaving' = [leaving EXCEPT ![u] = free] /\ news' = (IF Grown THEN Comparing ELSE news)
    /\ UNCHANGED <<owner, point, records, touched, lineVars, armed, lock, seekers, asleep, carried, toArm, held, round>>

Release(u) == \* another thread's trim
    /\ ~Recording \* so that either model stays small
    /\ pc[u] = "out" /\ round[u] < Rounds /\ Unlocked /\ \E b \in Blocks : Collected[b] = "common"
    /\ TakeOut(u) /\ Go(u, "give_back")
    /\ transit' = (IF Mutant = "release_not_counted" THEN transit ELSE transit \cup {u})

OwnRelease(u) == \* of one who found nothing, and the system had nothing
    /\ pc[u] = "release" /\ Unlocked /\ TakeOut(u) /\ UNCHANGED transit
    /\ Go(u, IF leaving'[u] = {} THEN "fail" ELSE "give_back_own")

GiveBack(u) ==
    /\ pc[u] \in {"give_back", "give_back_own"}
    /\ state' = [b \in Blocks |-> IF b \in leaving[u] THEN "system" ELSE state[b]]
    /\ leaving' = [leaving EXCEPT ![u] = {}] /\ Go(u, IF pc[u] = "give_back" THEN "given" ELSE "given_own")
    /\ UNCHANGED <<owner, point, records, touched, lineVars, waitVars, carried, toArm, held, round>>

Given(u) ==
    /\ pc[u] \in {"given", "given_own"} /\ Unlocked /\ MoreIsFree /\ Wake
    /\ transit' = (IF pc[u] = "given" THEN transit \ {u} ELSE transit)
    /\ Go(u, IF pc[u] = "given" THEN "out" ELSE "regrow") /\ UNCHANGED <<blockVars, lineVars, armed, lock, seekers, userVars>>

\* ---- wait_for_progress: points in flight of each stream that free blocks wait for
PointsOf(s) ==
    {point[b] : b \in {x \in Blocks : state[x] = "cached" /\ owner[x] = s}} \cup
    (IF Mutant = "record_not_waited_for" THEN {}
     ELSE {records[b][s] : b \in {x \in Blocks : state[x] = "recorded" /\ records[x][s] # 0}})
Lowest(set) == CHOOSE x \in set : \A y \in set : x <= y
InFlight == (\E s \in Streams : PointsOf(s) # {}) \/ (\E b \in Blocks : state[b] = "recorded")
\* A refusal is right when there is neither a free block nor one on its way, but for one whose free has not returned.
Refuse(u) == Go(u, IF \E b \in Blocks : state[b] \notin {"use", "none"} /\ \A v \in Users : pc[v] = "list" => carried[v] # b
                   THEN "lost" ELSE "refused")

BeginWait(u) ==
    /\ pc[u] = "fail" /\ Unlocked
    /\ LET others == transit \ {u}
           more == u \in news /\ Mutant # "no_second_check"
       IN /\ transit' = (IF Mutant = "own_transit_kept" THEN transit ELSE others) /\ Wake
          /\ IF more THEN Go(u, "out") /\ UNCHANGED toArm
             ELSE IF ~InFlight /\ others = {} THEN Refuse(u) /\ UNCHANGED toArm
             ELSE /\ Go(u, "arm")
                  /\ toArm' = [toArm EXCEPT ![u] = {<<s, Lowest(PointsOf(s))>> : s \in {x \in Streams : PointsOf(x) # {}}}]
          /\ news' = news \ {u}
    /\ UNCHANGED <<blockVars, lineVars, armed, lock, seekers, leaving, carried, held, round>>

\* hd_timeline_set_watch: unless the point is reached, of which all are told at once, the watch is set for it,
\* or for the earlier one that it is set for already.
Earlier(s, p) ==
    IF armed[s] = 0 \/ (p < armed[s] /\ armed[s] # Never) THEN p ELSE armed[s]
Arm(u) ==
    /\ pc[u] = "arm" /\ toArm[u] # {} /\ Unlocked
    /\ \E w \in toArm[u] :
        /\ toArm' = [toArm EXCEPT ![u] = @ \ {w}]
        /\ IF Reached(w[1], w[2])
           THEN /\ UNCHANGED armed
                /\ IF Mutant = "watch_refused" THEN UNCHANGED <<news, asleep>>
                   ELSE MoreIsFree /\ Wake
           ELSE armed' = [armed EXCEPT ![w[1]] = Earlier(w[1], w[2])] /\ UNCHANGED <<news, asleep>>
    /\ UNCHANGED <<blockVars, lineVars, lock, seekers, transit, leaving, carried, held, round, pc>>

Look(u) == \* the head of the loop
    /\ \/ pc[u] = "arm" /\ toArm[u] = {}
       \/ pc[u] = "sleep" /\ u \notin asleep
    /\ Unlocked
    /\ news' = news \ {u}
    /\ IF u \in news THEN Go(u, "out") /\ UNCHANGED asleep
       ELSE IF ~InFlight /\ transit = {} THEN Refuse(u) /\ UNCHANGED asleep
       ELSE asleep' = asleep \cup {u} /\ Go(u, "sleep")
    /\ UNCHANGED <<blockVars, lineVars, armed, lock, seekers, transit, userVars>>

Refused(u) == \* nothing is on its way: OUT_OF_MEMORY
    /\ pc[u] = "refused" /\ Go(u, "out") /\ round' = [round EXCEPT ![u] = @ + 1] /\ seekers' = seekers \ {u}
    /\ UNCHANGED <<blockVars, lineVars, armed, lock, news, transit, asleep, leaving, carried, toArm, held>>

\* ---- what users do with a block
Submit(u) == \* work that uses the block
    /\ pc[u] = "have" /\ submitted[Home(u)] = completed[Home(u)]
    /\ submitted' = [submitted EXCEPT ![Home(u)] = @ + 1]
    /\ touched' = [touched EXCEPT ![held[u]] = @ \cup {<<Home(u), submitted[Home(u)] + 1, u, round[u]>>}]
    /\ Go(u, "submitted") /\ UNCHANGED <<state, owner, point, records, completed, waitVars, userVars>>

Work(s) == \* work that uses no block of these
    /\ Recording /\ submitted[s] = 1 /\ completed[s] < 2 /\ submitted' = [submitted EXCEPT ![s] = 2]
    /\ UNCHANGED <<blockVars, completed, waitVars, userVars, pc>>

Record(u) == \* another stream's work in flight uses it, too
    /\ Recording /\ pc[u] \in {"have", "submitted", "recorded"}
    /\ \E s \in Streams \ {u} :
        /\ submitted[s] > completed[s] /\ records[held[u]][s] # submitted[s]
        /\ touched' = [touched EXCEPT ![held[u]] = @ \cup {<<s, submitted[s], u, round[u]>>}]
        /\ records' = IF Mutant = "record_keeps_older" /\ records[held[u]][s] # 0 THEN records
                      ELSE [records EXCEPT ![held[u]][s] = submitted[s]]
    /\ Go(u, "recorded") /\ UNCHANGED <<state, owner, point, lineVars, waitVars, userVars>>

\* Under the stream's lock: the block is the stream's at once, or in the caller's hands to wait for records.
FreeAt(u, p) ==
    LET b == held[u] IN
    /\ point' = [point EXCEPT ![b] = p]
    /\ state' = [state EXCEPT ![b] = IF Settled(b) THEN "cached" ELSE "hand"]
    /\ carried' = [carried EXCEPT ![u] = IF Settled(b) THEN None ELSE b]
    /\ held' = [held EXCEPT ![u] = None] /\ round' = [round EXCEPT ![u] = @ + 1]
    /\ Go(u, IF Settled(b) /\ seekers = {} THEN "out" ELSE "list")

Free(u) ==
    /\ pc[u] \in {"have", "submitted", "recorded"}
    /\ FreeAt(u, IF Mutant = "point_too_early" THEN completed[Home(u)] ELSE submitted[Home(u)])
    /\ UNCHANGED <<owner, records, touched, lineVars, waitVars, leaving, toArm>>

List(u) == \* under the allocator's lock: await_records, and those who seek are told
    /\ pc[u] = "list" /\ Unlocked /\ Go(u, "out")
    /\ IF Mutant = "free_not_told" THEN UNCHANGED <<news, asleep>> ELSE MoreIsFree /\ Wake
    /\ IF carried[u] = None THEN UNCHANGED <<state, carried>>
       ELSE /\ state' = [state EXCEPT ![carried[u]] = IF Settled(carried[u]) THEN "cached" ELSE "recorded"]
            /\ carried' = [carried EXCEPT ![u] = None]
    /\ UNCHANGED <<owner, point, records, touched, lineVars, armed, lock, transit, seekers, leaving, toArm, held,
                    round>>

\* ---- the device: the next point of a stream is reached, and whoever watches for it is told
Signal(s) ==
    /\ completed[s] < submitted[s] /\ completed' = [completed EXCEPT ![s] = @ + 1]
    /\ touched' = [b \in Blocks |-> {t \in touched[b] : t[1] # s \/ t[2] > completed[s] + 1}]
    /\ IF armed[s] # 0 /\ armed[s] <= completed[s] + 1
       THEN /\ Unlocked
            /\ armed' = [armed EXCEPT ![s] = IF Mutant = "watch_stays_armed" THEN Never ELSE 0]
            /\ MoreIsFree
            /\ IF Mutant = "reached_not_told" THEN UNCHANGED asleep ELSE Wake
       ELSE UNCHANGED <<armed, news, asleep>>
    /\ UNCHANGED <<state, owner, point, records, submitted, lock, seekers, transit, userVars, pc>>

Step(u) ==
    Hit(u) \/ HitUnlocked(u) \/ Allocate(u) \/ Announce(u) \/ Find(u) \/ TakeSegment(u) \/ AddSegment(u)
    \/ Release(u) \/ OwnRelease(u) \/ GiveBack(u) \/ Given(u) \/ BeginWait(u) \/ Arm(u) \/ Look(u) \/ Refused(u)
    \/ Submit(u) \/ Record(u) \/ Free(u) \/ List(u)

Ended == \A u \in Users : pc[u] = "out" /\ round[u] = Rounds
Next == (\E u \in Users : Step(u)) \/ (\E s \in Streams : Signal(s) \/ Work(s)) \/ (Ended /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars
\* Whoever can go on does, and the device reaches every point.
Fair == Spec /\ \A u \in Users : WF_vars(Step(u)) /\ \A s \in Streams : WF_vars(Signal(s))
Own(u) == u \* each user has a stream of his own
Same == Permutations(Users) \cup Permutations(Blocks)

\* ---- what must hold
\* Work of another stream that is still in flight touches no block that somebody has now.
Reuse == \A u \in Users : held[u] # None /\ pc[u] # "found" =>
    \A t \in touched[held[u]] : t[1] = Home(u) \/ (t[3] = u /\ t[4] = round[u])
OneOwner == \A u, v \in Users : u # v /\ held[u] # None /\ pc[u] # "found" /\ pc[v] # "found" => held[u] # held[v]
Law == \A b \in Blocks :
    /\ (state[b] = "use") = (\E u \in Users : held[u] = b /\ pc[u] # "found")
    /\ (state[b] = "hand") = (\E u \in Users : carried[u] = b \/ b \in leaving[u])
NobodySleepsBesideFree == \* but where the one who frees is about to tell
    \A u \in asleep : (\E b \in Blocks : MayTake(u, b)) => \E v \in Users : pc[v] = "list"
SleepsForSomething == \* a point in flight, watched though its block may be in use again; or in the hands of one who is awake
    asleep # {} => InFlight \/ (\E s \in Streams : armed[s] \in 1..submitted[s]) \/ \E v \in Users \ asleep :
        pc[v] \notin {"out", "have", "submitted", "recorded", "refused"}
EveryCallEnds == \A u \in Users : (pc[u] \in {"grow", "fail", "arm", "sleep"}) ~> (pc[u] \in {"have", "refused"})
Settles == <>Ended
NoneIsLost == \A u \in Users : pc[u] # "lost"
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go MoreIsFree Wake TakeBlock Return
  hd_stream_cache_take: Hit HitUnlocked Found
  take collect: Nothing Allocate Announce Find
  make_segment: TakeSegment
  add_segment: AddSegment
  release_cache detach_segments: TakeOut Release OwnRelease
  free_segment end_transit: GiveBack Given
  wait_for_progress find_points: BeginWait Look
  watch_points hd_timeline_set_watch: Arm
  fail_exhausted: Refused
  hd_timeline_submit: Submit Work
  hd_allocator_record hd_stream_cache_record: Record
  hd_allocator_free hd_stream_cache_free: FreeAt Free
  note_progress: List
  hd_timeline_signal note_reached: Signal

properties: the promise, and what asserts it in the code
  Reuse: REUSE REUSE.in-flight REUSE.free-for-this-stream
  OneOwner: REUSE REUSE.mine
  Law: FLAT FLAT.account FLAT.blocks FLAT.statistics
  NobodySleepsBesideFree: BOUND BOUND.allocated explorer:deadlock
  SleepsForSomething: BOUND BOUND.allocated explorer:deadlock
  EveryCallEnds: BOUND BOUND.allocated
  Settles: BOUND BOUND.allocated
  NoneIsLost: SAFE STATUS.allocate
