----------------------------- MODULE BatchQueue -----------------------------
(* Models src/runtime/batch_queue.c: hd_batch_queue_submit (take_in, stand_in_line),                 *)
(* hd_batch_queue_collect (fill_batch, serve_line, wait_in), hd_batch_queue_close, _end and _await.   *)
(* Promises: ONCE (a request that was taken in ends once, and none is lost, whichever way the queue  *)
(* is closed), BOUND (no lost wake-up; whoever stands in line gets in; closing ends), BITS (a batch   *)
(* has one kind).                                                                                    *)
(*                                                                                                   *)
(* Grain: what happens while the lock is held is one action; waiting gives the lock back. Futures are *)
(* finished outside the lock.                                                                        *)
(* Abstracted: priorities (requests are taken in the order in which they came); each request has one *)
(* row; time limits may pass at any moment or never, but a worker's wait for more does end. Waking up *)
(* without a reason is left to the explorer.                                                          *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Requests, \* each with a submitter of its own
    Odd,            \* those of the second kind
    Workers, MaxRows, Capacity,
    Delay,          \* whether workers wait for more
    Closes,         \* whether somebody closes the queue
    Mutant

Closer == "closer"

VARIABLES q,  \* what the lock protects
    pc,       \* of each request's submitter, each worker and the closer
    work,     \* of each worker: the requests that it runs
    held,     \* what the closer has cancelled and not yet ended
    ends      \* of each request: how often it was ended
vars == <<q, pc, work, held, ends>>

Without(s, x) == SelectSeq(s, LAMBDA y : y # x)
Elements(s) == {s[i] : i \in 1..Len(s)}
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

InitWith(rows, capacity, delay) == \* the constant fields of hd_batch_queue
    /\ q = [rows |-> rows, capacity |-> capacity, delay |-> delay, list |-> <<>>, line |-> <<>>, stood |-> <<>>, idle |-> <<>>, collecting |-> <<>>,
            batch |-> [w \in Workers |-> <<>>], called |-> {}, in |-> {}, asleep |-> {},
            closed |-> FALSE, submitted |-> 0, ended |-> 0, taken |-> 0]
    /\ pc = [t \in Requests \cup Workers \cup {Closer} |->
                IF t \in Workers THEN "collect" ELSE IF t = Closer THEN "open" ELSE "out"]
    /\ work = [w \in Workers |-> {}] /\ held = {} /\ ends = [r \in Requests |-> 0]
Init == InitWith(MaxRows, Capacity, Delay)

\* ---- under the lock
Fits(s, w, r) ==
    s.batch[w] = <<>> \/ (((Head(s.batch[w]) \in Odd) = (r \in Odd) \/ Mutant = "kinds_mixed")
                          /\ Len(s.batch[w]) < s.rows)
Call(s, w) ==
    [s EXCEPT !.called = @ \cup {w}, !.asleep = @ \ {w}, !.idle = Without(@, w),
              !.collecting = Without(@, w)]
Open(s, r) == SelectSeq(s.collecting, LAMBDA w : Fits(s, w, r))
HasRoom(s, r) == Len(s.list) < s.capacity \/ Open(s, r) # <<>> \/ Mutant = "no_bound"

TakeIn(s0, r) ==
    LET s == [s0 EXCEPT !.submitted = IF Mutant = "not_counted" THEN @ ELSE @ + 1, !.in = @ \cup {r}]
        joined == [s EXCEPT !.batch[Head(Open(s, r))] = Append(@, r), !.taken = @ + 1]
        queued == [s EXCEPT !.list = Append(@, r)]
    IN IF Open(s, r) # <<>>
       THEN IF Len(joined.batch[Head(Open(s, r))]) = s.rows THEN Call(joined, Head(Open(s, r))) ELSE joined
       ELSE IF s.idle # <<>>
       THEN IF Mutant = "idle_not_called" THEN queued ELSE Call(queued, Head(s.idle))
       ELSE IF s.collecting # <<>> THEN Call(queued, Head(s.collecting))
       ELSE queued

CanServe(s) == s.line # <<>> /\ Len(s.list) < s.capacity /\ ~s.closed
Front(s) == IF s.line = <<>> THEN "nobody" ELSE IF Mutant = "line_from_behind" THEN s.line[Len(s.line)] ELSE Head(s.line)
RECURSIVE Serve(_)
Serve(s) ==
    IF ~CanServe(s) THEN s
    ELSE Serve(TLCEval([TakeIn(s, Front(s)) EXCEPT !.line = Without(@, Front(s)),
                    !.asleep = IF Mutant = "line_not_woken" THEN @ ELSE @ \ (Requests \cup {Closer})]))

First(s, w) == CHOOSE i \in 1..Len(s.list) : Fits(s, w, s.list[i]) /\ \A k \in 1..(i - 1) : ~Fits(s, w, s.list[k])
RECURSIVE Fill(_, _)
Fill(s, w) ==
    IF \E i \in 1..Len(s.list) : Fits(s, w, s.list[i])
    THEN LET r == s.list[First(s, w)]
         IN Fill(TLCEval([s EXCEPT !.list = Without(@, r), !.batch[w] = Append(@, r), !.taken = @ + 1]), w)
    ELSE IF CanServe(s) /\ Mutant # "line_not_served" THEN Fill(TLCEval(Serve(s)), w) ELSE s

NoteEnded(s, count) ==
    LET t == [s EXCEPT !.ended = @ + (IF Mutant = "counted_twice" THEN 2 * count ELSE count), !.taken = @ - count]
    IN IF t.ended = t.submitted /\ Closer \in t.asleep /\ Mutant # "end_not_told" THEN [t EXCEPT !.asleep = @ \ (Requests \cup {Closer})]
       ELSE t

Leave(w, s) == \* hd_batch_queue_collect returns
    /\ q' = [s EXCEPT !.batch[w] = <<>>] /\ work' = [work EXCEPT ![w] = Elements(s.batch[w])]
    /\ Go(w, IF s.batch[w] = <<>> THEN "gone" ELSE "run")

LookAround(w, s0) ==
    LET s == TLCEval(Fill(TLCEval(s0), w))
    IN IF s.batch[w] = <<>> /\ ~s.closed
       THEN /\ q' = [s EXCEPT !.idle = <<w>> \o @, !.called = @ \ {w}, !.asleep = @ \cup {w}]
            /\ Go(w, "idle") /\ work' = [work EXCEPT ![w] = {}]
       ELSE IF s.delay /\ s.batch[w] # <<>> /\ Len(s.batch[w]) < s.rows /\ s.list = <<>> /\ ~s.closed
       THEN /\ q' = [s EXCEPT !.collecting = <<w>> \o @, !.called = @ \ {w}, !.asleep = @ \cup {w}]
            /\ Go(w, "more") /\ work' = [work EXCEPT ![w] = {}]
       ELSE Leave(w, s)

\* ---- a submitter
Submit(r) ==
    /\ pc[r] = "out" /\ UNCHANGED <<work, held, ends>>
    /\ IF q.closed THEN Go(r, "refused") /\ UNCHANGED q
       ELSE IF HasRoom(q, r) THEN q' = TLCEval(TakeIn(q, r)) /\ Go(r, "in")
       ELSE \/ Go(r, "refused") /\ UNCHANGED q
            \/ q' = [q EXCEPT !.line = Append(@, r), !.stood = Append(@, r), !.asleep = @ \cup {r}] /\ Go(r, "line")

StepOut(r) == q' = [q EXCEPT !.line = Without(@, r), !.stood = Without(@, r), !.asleep = @ \ {r}] /\ Go(r, "refused")

WakeInLine(r) ==
    /\ pc[r] = "line" /\ r \notin q.asleep /\ UNCHANGED <<work, held, ends>>
    /\ IF r \in q.in THEN Go(r, "in") /\ UNCHANGED q
       ELSE IF q.closed /\ Mutant # "line_not_refused" THEN StepOut(r)
       ELSE q' = [q EXCEPT !.asleep = @ \cup {r}] /\ UNCHANGED pc

ExpireInLine(r) ==
    /\ pc[r] = "line" /\ UNCHANGED <<work, held, ends>>
    /\ IF r \in q.in /\ Mutant # "late_though_in" THEN Go(r, "in") /\ q' = [q EXCEPT !.asleep = @ \ {r}] ELSE StepOut(r)

\* ---- a worker
Collect(w) ==
    /\ pc[w] = "collect" /\ LookAround(w, NoteEnded(q, Cardinality(work[w]))) /\ UNCHANGED <<held, ends>>

WakeIdle(w) ==
    /\ pc[w] = "idle" /\ w \notin q.asleep /\ UNCHANGED <<held, ends>>
    /\ IF w \in q.called THEN LookAround(w, q)
       ELSE q' = [q EXCEPT !.asleep = @ \cup {w}] /\ UNCHANGED <<pc, work>>

WakeForMore(w) == \* called, or its time is up
    /\ pc[w] = "more" /\ UNCHANGED <<held, ends>>
    /\ Leave(w, [q EXCEPT !.collecting = Without(@, w), !.asleep = @ \ {w}])

End(w) == \* the futures are finished
    /\ pc[w] = "run" /\ ends' = [r \in Requests |-> ends[r] + (IF r \in work[w] THEN 1 ELSE 0)]
    /\ Go(w, "collect") /\ UNCHANGED <<q, work, held>>

\* ---- who closes
Close(cancels) ==
    LET more == UNION {Elements(q.batch[w]) : w \in Elements(q.collecting)}
        emptied == [q EXCEPT !.list = <<>>, !.taken = @ + Len(q.list),
                        !.batch = [w \in Workers |-> IF w \in Elements(q.collecting) /\ Mutant # "cancelled_left"
                                                     THEN <<>> ELSE q.batch[w]]]
        s == IF cancels THEN emptied ELSE q
    IN /\ q' = [s EXCEPT !.closed = TRUE, !.idle = IF Mutant = "idle_forgotten" THEN @ ELSE <<>>, !.collecting = <<>>,
                    !.called = @ \cup Elements(s.collecting) \cup
                        (IF Mutant = "idle_forgotten" THEN {} ELSE Elements(s.idle)),
                    !.asleep = IF Mutant = "idle_forgotten" THEN Elements(s.idle)
                               ELSE IF Mutant = "close_signals_one" THEN Elements(s.line) \ {Front(s)} ELSE {}]
       /\ held' = IF cancels THEN Elements(q.list) \cup more ELSE {}
       /\ Go(Closer, IF cancels THEN "end" ELSE "await") /\ UNCHANGED <<work, ends>>

CloseFirst == Closes /\ pc[Closer] = "open" /\ \E cancels \in BOOLEAN : Close(cancels)
CloseAgain == pc[Closer] = "await" /\ Close(TRUE) \* its time was up
EndHeld ==
    /\ pc[Closer] = "end" /\ ends' = [r \in Requests |-> ends[r] + (IF r \in held THEN 1 ELSE 0)]
    /\ Go(Closer, "note") /\ UNCHANGED <<q, work, held>>
NoteHeld ==
    /\ pc[Closer] = "note" /\ q' = NoteEnded(q, Cardinality(held)) /\ held' = {} /\ Go(Closer, "wait")
    /\ UNCHANGED <<work, ends>>
Await ==
    /\ pc[Closer] \in {"await", "wait"} /\ Closer \notin q.asleep /\ UNCHANGED <<work, held, ends>>
    /\ IF q.ended = q.submitted THEN Go(Closer, "done") /\ UNCHANGED q
       ELSE q' = [q EXCEPT !.asleep = @ \cup {Closer}] /\ UNCHANGED pc

Done == /\ \A r \in Requests : pc[r] \in {"in", "refused"}
        /\ pc[Closer] = "done" \/ ~Closes
        /\ UNCHANGED vars

WorkerStep(w) == Collect(w) \/ WakeIdle(w) \/ WakeForMore(w) \/ End(w)
CloserStep == EndHeld \/ NoteHeld \/ Await
Next ==
    \/ \E r \in Requests : Submit(r) \/ WakeInLine(r) \/ ExpireInLine(r)
    \/ \E w \in Workers : WorkerStep(w)
    \/ CloseFirst \/ CloseAgain \/ CloserStep \/ Done
\* Whatever can go on does; with several workers only some one of them.
Spec == Init /\ [][Next]_vars /\ WF_vars(CloserStep) /\ WF_vars(\E w \in Workers : WorkerStep(w))
        /\ WF_vars(\E r \in Requests : WakeInLine(r))

\* ---- what must hold
Law == q.submitted = q.ended + Len(q.list) + q.taken
Taken == q.submitted = Cardinality(q.in)
EndsOnce == \A r \in Requests : ends[r] <= 1 /\ (ends[r] = 1 => r \in q.in)
Bounded == Len(q.list) <= q.capacity
LineMeansFull == q.line # <<>> => Len(q.list) = q.capacity \/ q.closed
OneKind == \A w \in Workers : work[w] \subseteq Odd \/ work[w] \cap Odd = {}
FirstComeFirstServed == \* stood: those who had to stand in line, in the order in which they came; a ghost
    \A i, k \in 1..Len(q.stood) : i < k /\ q.stood[k] \in q.in => q.stood[i] \in q.in
ClosedWakesLine == q.closed => \A r \in Elements(q.line) : r \notin q.asleep
NeverTwoInLine == Len(q.line) < 2 \* it happens: its configuration under mutants/ must be rejected
Refused == \A r \in Requests : pc[r] = "refused" => r \notin q.in
SomebodyLooks == q.list # <<>> => \E w \in Workers : pc[w] \in {"run", "collect"} \/ w \in q.called
ClosedEnds == pc[Closer] = "done" => \A r \in q.in : ends[r] = 1
\* Each request comes once, so all ends: nobody stands in line for ever, what was taken in has ended,
\* closing has ended, and so have the workers of a closed queue.
Settles == <>[](/\ \A r \in Requests : pc[r] # "line" /\ (r \in q.in => ends[r] = 1)
                /\ pc[Closer] \in {"open", "done"}
                /\ pc[Closer] = "done" => \A w \in Workers : pc[w] = "gone")
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Leave StepOut
  hd_batch_queue_collect fill_batch: LookAround Collect
  hd_batch_queue_submit has_room take_in stand_in_line: Submit
  stand_in_line serve_line leave_line: WakeInLine ExpireInLine
  wait_in call: WakeIdle
  wait_for_more: WakeForMore
  the caller: End EndHeld
  hd_batch_queue_close: Close
  hd_batch_queue_end note_ended: NoteHeld
  hd_batch_queue_await: Await
  the end: Done

properties: the promise, and what asserts it in the code
  Law: ONCE ONCE.batch-requests
  Taken: ONCE ONCE.counts
  EndsOnce: ONCE ONCE.ended-once
  Bounded: BOUND BOUND.batch-capacity
  LineMeansFull: BOUND BOUND.batch-line
  OneKind: BITS BITS.one-kind
  FirstComeFirstServed: BOUND BOUND.first-come-first-served
  ClosedWakesLine: BOUND ONCE.closable explorer:deadlock
  Refused: ONCE ONCE.not-taken-in
  SomebodyLooks: BOUND BOUND.served explorer:deadlock
  ClosedEnds: ONCE ONCE.batch-ended ONCE.batch-worker ONCE.batch-open
  Settles: BOUND BOUND.ends
