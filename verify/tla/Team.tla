-------------------------------- MODULE Team --------------------------------
(* Models src/hal/cpu/team.c: hd_cpu_team_run with run_shared_step, close_job and wake_sleepers; the     *)
(* workers' worker_main, look_for_work, take_core, help and sleep_until_work; hd_cpu_team_destroy.       *)
(* Promises: ONCE (each tile of each step is computed exactly once), REUSE (nobody reads a list that *)
(* its caller has left), BOUND (callers always finish, no wake-up is lost, the team ends).           *)
(*                                                                                                   *)
(* Grain: one action is one atomic operation on state, ticket, done, busy, sleepers or stopping, or  *)
(* one tile's computing. The ticket is the packed number of the code. The caller's compare-and-swap  *)
(* loop is one action (a failed try changes nothing); a worker's load and swap are two.              *)
(* Abstracted: a job is its caller's own; the scan for waiting tiles before sleep is one step (each  *)
(* job's handshake stands for itself); how long a worker spins, and in which steps a caller with a   *)
(* core to spare wakes sleepers, is left open; that a caller's long wait for workers sleeps, marked  *)
(* in the word that it waits for, is left to the explorer and its four mutants of that; memory is    *)
(* sequentially consistent, and the mutant no_fence shows what the fences are for.                   *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Callers, Workers, Cores,
    Tiles,      \* of each step, a sequence; a step of one tile is not shared
    Runs,       \* of each caller, one list each
    FieldSize,  \* numbers that each of the ticket's tile fields holds
    FromBack,   \* the workers that take tiles from the back
    Stops,      \* whether the runs may be stopped
    Mutant

ThreeSteps == <<2, 1, 2>>
TwoSteps == <<2, 2>>
OneStep == <<2>>

Threads == Callers \cup Workers \cup {"owner"}
Nobody == "nobody"

VARIABLES
    open, inside, list, \* of each job; list: the run whose list it names, 0 when its caller has left it
    ticket, done,
    busy, sleepers, stopping, lock, asleep,
    step, own, runs,    \* of each caller
    job, tile,          \* of each worker: the job that it looks at, <<run, step, tile>> that it computes
    seen,               \* of each worker: the ticket that it has loaded
    unwoken,            \* of each caller: it woke nobody, since no core was to spare
    resigned,           \* workers that fell asleep since no core was to spare
    computed,           \* of each caller: how often each <<step, tile>> of this run was computed
    stopped,            \* what the callers look at says to end
    pc

shared == <<open, inside, list, ticket, done, busy>>
sleep == <<sleepers, stopping, lock, asleep>>
locals == <<step, own, runs, job, tile, seen, unwoken, resigned>>
vars == <<shared, sleep, locals, computed, stopped, pc>>

Go(t, where) == pc' = [pc EXCEPT ![t] = where]
MakeTicket(s, n) == s * FieldSize * FieldSize + n
Front(x) == (x \div FieldSize) % FieldSize
Back(x) == x % FieldSize
HasTile(x) == Front(x) < Back(x)
StepOf(x) == x \div (FieldSize * FieldSize)
TakeFront(x) == x + FieldSize
NoTiles == [s \in 1..Len(Tiles) |-> [i \in 0..(FieldSize - 1) |-> 0]]
Compute(c, s, i) == computed' = [computed EXCEPT ![c][s][i] = @ + 1]

Init ==
    /\ open = [c \in Callers |-> FALSE] /\ inside = [c \in Callers |-> 0] /\ list = [c \in Callers |-> 0]
    /\ ticket = [c \in Callers |-> 0] /\ done = [c \in Callers |-> 0]
    /\ busy = 0 /\ sleepers = 0 /\ stopping = FALSE /\ lock = Nobody /\ asleep = {}
    /\ step = [c \in Callers |-> 0] /\ own = [c \in Callers |-> 0] /\ runs = [c \in Callers |-> 0]
    /\ job = [w \in Workers |-> Nobody] /\ tile = [w \in Workers |-> <<0, 0, 0>>]
    /\ seen = [w \in Workers |-> 0] /\ resigned = {}
    /\ unwoken = [c \in Callers |-> FALSE] /\ computed = [c \in Callers |-> NoTiles]
    /\ stopped = FALSE /\ pc = [t \in Threads |-> "out"]

\* ---- the caller
Begin(c) == \* busy + 1, and the job's plain members
    /\ pc[c] = "out" /\ runs[c] < Runs /\ runs' = [runs EXCEPT ![c] = @ + 1]
    /\ busy' = busy + 1 /\ list' = [list EXCEPT ![c] = runs'[c]] /\ ticket' = [ticket EXCEPT ![c] = 0]
    /\ computed' = [computed EXCEPT ![c] = NoTiles] /\ step' = [step EXCEPT ![c] = 1]
    /\ Go(c, "open") /\ UNCHANGED <<open, inside, done, sleep, own, job, tile, seen, unwoken, resigned>>

Open(c) ==
    /\ pc[c] = "open" /\ open' = [open EXCEPT ![c] = TRUE] /\ Go(c, "step")
    /\ UNCHANGED <<inside, list, ticket, done, busy, sleep, locals, computed>>

BeginStep(c) ==
    /\ pc[c] = "step"
    /\ IF step[c] > Len(Tiles) \/ stopped THEN Go(c, "close") /\ UNCHANGED <<step, own, done, computed>>
       ELSE IF Tiles[step[c]] = 1
       THEN /\ Compute(c, step[c], 0) /\ step' = [step EXCEPT ![c] = @ + 1] /\ UNCHANGED <<own, done, pc>>
       ELSE /\ done' = [done EXCEPT ![c] = IF Mutant = "done_kept" THEN @ ELSE 0]
            /\ own' = [own EXCEPT ![c] = 0] /\ Go(c, "publish") /\ UNCHANGED <<step, computed>>
    /\ UNCHANGED <<open, inside, list, ticket, busy, sleep, runs, job, tile, seen, unwoken, resigned>>

Publish(c) ==
    /\ pc[c] = "publish" /\ ticket' = [ticket EXCEPT ![c] = MakeTicket(step[c], Tiles[step[c]])]
    /\ Go(c, "look") /\ UNCHANGED <<open, inside, list, done, busy, sleep, locals, computed>>

LookForSleepers(c) == \* behind the fence
    /\ pc[c] = "look" /\ unwoken' = [unwoken EXCEPT ![c] = FALSE]
    /\ Go(c, IF sleepers = 0 THEN "tiles" ELSE "spare")
    /\ UNCHANGED <<shared, sleep, step, own, runs, job, tile, seen, resigned, computed>>

LookForCores(c) == \* no core to spare, or not for long enough
    /\ pc[c] = "spare"
    /\ \/ unwoken' = [unwoken EXCEPT ![c] = TRUE] /\ Go(c, "tiles")
       \/ busy < Cores /\ Go(c, "wake") /\ UNCHANGED unwoken
    /\ UNCHANGED <<shared, sleep, step, own, runs, job, tile, seen, resigned, computed>>

WakeSleepers(c) == \* lock, broadcast, unlock
    /\ pc[c] = "wake" /\ lock = Nobody /\ asleep' = {} /\ resigned' = {} /\ Go(c, "tiles")
    /\ UNCHANGED <<shared, sleepers, stopping, lock, step, own, runs, job, tile, seen, unwoken, computed>>

TakeTile(c) == \* from the front; and computes it: nobody else reads what this thread alone writes
    /\ pc[c] = "tiles"
    /\ IF HasTile(ticket[c]) /\ stopped \* takes all that are left, and computes none
       THEN LET x == ticket[c]
            IN  /\ ticket' = [ticket EXCEPT ![c] = IF Mutant = "rest_left" THEN @ ELSE @ - Back(x) + Front(x)]
                /\ own' = [own EXCEPT ![c] = @ + Back(x) - Front(x)] /\ Go(c, "await") /\ UNCHANGED computed
       ELSE IF HasTile(ticket[c])
       THEN /\ ticket' = [ticket EXCEPT ![c] = TakeFront(@)] /\ Compute(c, step[c], Front(ticket[c]))
            /\ own' = [own EXCEPT ![c] = @ + 1] /\ UNCHANGED pc
       ELSE Go(c, "await") /\ UNCHANGED <<ticket, own, computed>>
    /\ UNCHANGED <<open, inside, list, done, busy, sleep, step, runs, job, tile, seen, unwoken, resigned>>

AwaitDone(c) ==
    /\ pc[c] = "await" /\ (done[c] + own[c] >= Tiles[step[c]] \/ Mutant = "no_await")
    /\ step' = [step EXCEPT ![c] = @ + 1] /\ Go(c, "step")
    /\ UNCHANGED <<shared, sleep, own, runs, job, tile, seen, unwoken, resigned, computed>>

CloseJob(c) ==
    /\ pc[c] = "close" /\ open' = [open EXCEPT ![c] = FALSE] /\ Go(c, "await_empty")
    /\ UNCHANGED <<inside, list, ticket, done, busy, sleep, locals, computed>>

AwaitEmpty(c) == \* then the list is the next owner's
    /\ pc[c] = "await_empty" /\ (inside[c] = 0 \/ Mutant = "no_await_empty")
    /\ list' = [list EXCEPT ![c] = 0] /\ step' = [step EXCEPT ![c] = 0] /\ Go(c, "leave")
    /\ UNCHANGED <<open, inside, ticket, done, busy, sleep, own, runs, job, tile, seen, unwoken, resigned, computed>>

LeaveCore(c) ==
    /\ pc[c] = "leave" /\ busy' = busy - 1 /\ Go(c, "out")
    /\ UNCHANGED <<open, inside, list, ticket, done, sleep, locals, computed>>

CallerStep(c) ==
    Begin(c) \/ Open(c) \/ BeginStep(c) \/ Publish(c) \/ LookForSleepers(c) \/ LookForCores(c)
    \/ TakeTile(c) \/ AwaitDone(c) \/ CloseJob(c) \/ AwaitEmpty(c) \/ LeaveCore(c)

\* ---- a worker
Look(w) == \* worker_main
    /\ pc[w] = "out" /\ Go(w, IF stopping THEN "ended" ELSE "scan")
    /\ UNCHANGED <<shared, sleep, locals, computed>>

Scan(w) == \* look_for_work: an open job, or none
    /\ pc[w] = "scan"
    /\ \/ \E c \in Callers : open[c] /\ job' = [job EXCEPT ![w] = c] /\ Go(w, "core")
       \/ Go(w, "out") /\ UNCHANGED job
    /\ UNCHANGED <<shared, sleep, step, own, runs, tile, seen, unwoken, resigned, computed>>

TakeCore(w) ==
    /\ pc[w] = "core"
    /\ IF busy < Cores THEN busy' = busy + 1 /\ Go(w, "enter") ELSE Go(w, "out") /\ UNCHANGED busy
    /\ UNCHANGED <<open, inside, list, ticket, done, sleep, locals, computed>>

Enter(w) == \* one fetch_add; mutant: looks first, then adds
    /\ pc[w] \in {"enter", "enter_late"}
    /\ IF Mutant = "look_then_enter" /\ pc[w] = "enter"
       THEN Go(w, IF open[job[w]] THEN "enter_late" ELSE "give_core") /\ UNCHANGED inside
       ELSE /\ inside' = [inside EXCEPT ![job[w]] = @ + 1]
            /\ Go(w, IF open[job[w]] \/ pc[w] = "enter_late" THEN "loop" ELSE "exit")
    /\ UNCHANGED <<open, list, ticket, done, busy, sleep, locals, computed>>

Loop(w) == \* closed, its core is wanted, or it has idled for long
    /\ pc[w] = "loop"
    /\ \/ (~open[job[w]] \/ busy > Cores \/ ~HasTile(ticket[job[w]])) /\ Go(w, "exit")
       \/ open[job[w]] /\ busy <= Cores /\ Go(w, "peek")
    /\ UNCHANGED <<shared, sleep, locals, computed>>

Load(w) == \* take_tile
    /\ pc[w] = "peek" /\ seen' = [seen EXCEPT ![w] = ticket[job[w]]]
    /\ Go(w, IF HasTile(ticket[job[w]]) THEN "take" ELSE "loop")
    /\ UNCHANGED <<shared, sleep, step, own, runs, job, tile, unwoken, resigned, computed>>

Same(x, y) == \* what compare and swap compares
    x = y \/ (Mutant = "step_left_out" /\ Front(x) = Front(y) /\ Back(x) = Back(y))
Take(w) ==
    /\ pc[w] = "take"
    /\ LET x == seen[w]
           now == ticket[job[w]]
           back == w \in FromBack
       IN IF Same(x, now) \/ Mutant = "load_and_store"
          THEN /\ ticket' = [ticket EXCEPT ![job[w]] = IF Mutant = "step_left_out" THEN (IF back THEN now - 1 ELSE TakeFront(now))
                                                       ELSE IF back THEN x - 1 ELSE TakeFront(x)]
               /\ tile' = [tile EXCEPT ![w] = <<list[job[w]], StepOf(x), IF back THEN Back(x) - 1 ELSE Front(x)>>]
               /\ seen' = [seen EXCEPT ![w] = 0] /\ Go(w, "compute")
          ELSE \* the failed swap has loaded it anew
               /\ seen' = [seen EXCEPT ![w] = IF HasTile(now) THEN now ELSE 0]
               /\ Go(w, IF HasTile(now) THEN "take" ELSE "loop") /\ UNCHANGED <<ticket, tile>>
    /\ UNCHANGED <<open, inside, list, done, busy, sleep, step, own, runs, job, unwoken, resigned, computed>>

ComputeTile(w) ==
    /\ pc[w] = "compute" /\ Compute(job[w], tile[w][2], tile[w][3]) /\ Go(w, "done")
    /\ UNCHANGED <<shared, sleep, locals>>

Done(w) ==
    /\ pc[w] = "done" /\ done' = [done EXCEPT ![job[w]] = @ + 1] /\ tile' = [tile EXCEPT ![w] = <<0, 0, 0>>]
    /\ Go(w, "loop")
    /\ UNCHANGED <<open, inside, list, ticket, busy, sleep, step, own, runs, job, seen, unwoken, resigned, computed>>

Exit(w) ==
    /\ pc[w] = "exit" /\ inside' = [inside EXCEPT ![job[w]] = @ - 1] /\ Go(w, "give_core")
    /\ UNCHANGED <<open, list, ticket, done, busy, sleep, locals, computed>>

GiveCore(w) ==
    /\ pc[w] = "give_core" /\ busy' = (IF Mutant = "core_kept" THEN busy ELSE busy - 1) /\ job' = [job EXCEPT ![w] = Nobody] /\ Go(w, "out")
    /\ UNCHANGED <<open, inside, list, ticket, done, sleep, step, own, runs, tile, seen, unwoken, resigned, computed>>

TilesWait == \E c \in Callers : open[c] /\ HasTile(ticket[c])

Tire(w) == \* sleep_until_work: lock
    /\ pc[w] = "scan" /\ lock = Nobody /\ lock' = w
    /\ Go(w, IF Mutant = "no_fence" THEN "sleep_look" ELSE "announce")
    /\ UNCHANGED <<shared, sleepers, stopping, asleep, locals, computed>>

FallAsleep(w) ==
    /\ Go(w, "sleep") /\ lock' = Nobody /\ asleep' = asleep \cup {w}
Announce(w) ==
    /\ pc[w] \in {"announce", "announce_late"} /\ sleepers' = sleepers + 1
    /\ IF pc[w] = "announce" THEN Go(w, "sleep_look") /\ UNCHANGED <<lock, asleep>> ELSE FallAsleep(w)
    /\ UNCHANGED <<shared, stopping, locals, computed>>

SleepLook(w) == \* a core to spare and tiles, or the end?
    /\ pc[w] = "sleep_look"
    /\ IF (busy < Cores /\ TilesWait) \/ stopping
       THEN /\ Go(w, IF Mutant = "no_fence" THEN "out" ELSE "rise")
            /\ lock' = (IF Mutant = "no_fence" THEN Nobody ELSE lock) /\ UNCHANGED <<asleep, resigned>>
       ELSE /\ resigned' = IF busy >= Cores THEN resigned \cup {w} ELSE resigned
            /\ IF Mutant = "no_fence" THEN Go(w, "announce_late") /\ UNCHANGED <<lock, asleep>>
               ELSE FallAsleep(w)
    /\ UNCHANGED <<shared, sleepers, stopping, step, own, runs, job, tile, seen, unwoken, computed>>

Woken(w) ==
    /\ pc[w] = "sleep" /\ w \notin asleep /\ lock = Nobody /\ lock' = w /\ Go(w, "rise")
    /\ UNCHANGED <<shared, sleepers, stopping, asleep, locals, computed>>

Rise(w) ==
    /\ pc[w] = "rise" /\ sleepers' = sleepers - 1 /\ lock' = Nobody /\ Go(w, "out")
    /\ UNCHANGED <<shared, stopping, asleep, locals, computed>>

WorkerStep(w) ==
    Look(w) \/ Scan(w) \/ TakeCore(w) \/ Enter(w) \/ Loop(w) \/ Load(w) \/ Take(w) \/ ComputeTile(w) \/ Done(w)
    \/ Exit(w) \/ GiveCore(w) \/ Announce(w) \/ SleepLook(w) \/ Rise(w)

\* ---- hd_cpu_team_destroy, when no job is open any more
Finished == \A c \in Callers : pc[c] = "out" /\ runs[c] = Runs
Stop ==
    /\ pc["owner"] = "out" /\ Finished /\ lock = Nobody /\ stopping' = TRUE
    /\ asleep' = IF Mutant = "no_stop_broadcast" THEN asleep ELSE {}
    /\ Go("owner", "join") /\ UNCHANGED <<shared, sleepers, lock, locals, computed>>
Join ==
    /\ pc["owner"] = "join" /\ (\A w \in Workers : pc[w] = "ended") /\ Go("owner", "ended")
    /\ UNCHANGED <<shared, sleep, locals, computed>>
Ended == pc["owner"] = "ended" /\ UNCHANGED vars

StopComes == \* from anywhere, at any time
    Stops /\ ~stopped /\ stopped' = TRUE /\ UNCHANGED <<shared, sleep, locals, computed, pc>>
Locks(t) == (IF t \in Callers THEN WakeSleepers(t) ELSE IF t \in Workers THEN Woken(t) ELSE Stop)
            /\ UNCHANGED stopped
Steps(t) == (IF t \in Callers THEN CallerStep(t) ELSE IF t \in Workers THEN WorkerStep(t) ELSE Join)
            /\ UNCHANGED stopped
Next ==
    \/ \E t \in Threads : Locks(t) \/ Steps(t)
    \/ (\E w \in Workers : Tire(w) /\ UNCHANGED stopped) \/ StopComes \/ Ended
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Locks(t))
Alike == Permutations(Callers)

\* ---- what must hold
Within == {"loop", "peek", "take", "compute", "done"}
ListIsValid == \* whoever may read a job's list finds its caller in that run
    \A w \in Workers : /\ pc[w] \in Within => list[job[w]] # 0
                       /\ pc[w] = "compute" => tile[w][1] = list[job[w]]
TicketStandsStill == \* no tile of a step that its caller has left
    \A w \in Workers : pc[w] \in {"compute", "done"} => tile[w][2] = step[job[w]]
EachTileOnce == \* at most once ever, and exactly once when the step is left
    \A c \in Callers : \A s \in 1..Len(Tiles) : \A i \in 0..(FieldSize - 1) :
        /\ computed[c][s][i] <= 1
        /\ step[c] > s => computed[c][s][i] = (IF i < Tiles[s] THEN 1 ELSE 0) \/ stopped
CoresCount ==
    /\ busy = Cardinality({c \in Callers : pc[c] # "out"})
              + Cardinality({w \in Workers : pc[w] \in Within \cup {"enter", "enter_late", "exit", "give_core"}})
    /\ \A c \in Callers :
          inside[c] = Cardinality({w \in Workers : job[w] = c /\ pc[w] \in Within \cup {"exit"}})
NoLostWakeUp == \* a caller that had a core to spare leaves nobody asleep who had one, too
    \A c \in Callers : pc[c] = "tiles" /\ HasTile(ticket[c]) /\ ~unwoken[c] => asleep \subseteq resigned
TeamEnds == <>(pc["owner"] = "ended")
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Compute Locks Steps
  hd_cpu_team_run run_list: Begin Open BeginStep
  run_shared_step: Publish TakeTile
  wake_sleepers: LookForSleepers LookForCores WakeSleepers
  await_number: AwaitDone AwaitEmpty
  close_job: CloseJob LeaveCore
  worker_main: Look GiveCore
  look_for_work: Scan
  take_core: TakeCore
  help: Enter Loop Done Exit
  take_tile: Load Take
  run_tiles: ComputeTile
  sleep_until_work: Tire FallAsleep Announce SleepLook Woken Rise
  hd_cpu_team_destroy: Stop Join
  the end: Ended
  any time: StopComes

properties: the promise, and what asserts it in the code
  ListIsValid: REUSE SAFE.job-is-closed explorer:race
  TicketStandsStill: ONCE ONCE.tiles
  EachTileOnce: ONCE ONCE.tiles
  CoresCount: BOUND none: the numbers steer who helps, and no answer depends on them
  NoLostWakeUp: BOUND none: who sleeps on makes a run slower, not wrong
  TeamEnds: BOUND explorer:deadlock
