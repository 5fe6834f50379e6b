/-
Semantics: threads that carry operations through, encoders and hardware queues that these touch, locks,
and steps. A locking policy says what an access needs; the semantics is the same for all policies.

Words as in verify/tla/Submission.tla and verify/interleave/strategies/strategies.h. What is left out stands
in docs/verification.md. Plain Lean 4 without a library; nothing here depends on how new the Lean is.
-/

namespace Heddle

/-- The three accesses of an operation, in their order. -/
inductive Phase where
  | record
  | submit
  | complete

/-- What a thread carries through: any stream's, of any kind, with any encoder, to any queue. -/
structure Operation where
  stream : Nat
  encoder : Nat
  kind : Nat
  queue : Nat

structure Access where
  operation : Operation
  phase : Phase

/-- The native objects that threads share. -/
inductive Object where
  | encoder (number : Nat)
  | queue (number : Nat)

/-- Each access works on the operation's encoder, a submission on its hardware queue, too. -/
def Touches (a : Access) (o : Object) : Prop :=
  o = Object.encoder a.operation.encoder ∨
  (a.phase = Phase.submit ∧ o = Object.queue a.operation.queue)

inductive Mode where
  | shared
  | exclusive

/-- Names of locks; `named` stands for any further ones that a policy might want. -/
inductive Lock where
  | global
  | stream (number : Nat)
  | kind (number : Nat)
  | encoder (number : Nat)
  | queue (number : Nat)
  | named (number : Nat)

/-- Lock placement: which locks, in which mode, an access has to be made under. -/
def Policy := Access → Lock → Mode → Prop

/-- Where a thread stands: with no operation, before an access, within it, behind its last one. -/
inductive Place where
  | idle
  | before (a : Access)
  | inside (a : Access)
  | done

/-- Of an encoder: what it holds, and whose. -/
inductive Encoder where
  | empty
  | recorded (thread : Nat)
  | submitted (thread : Nat)

structure State where
  place : Nat → Place
  held : Nat → Lock → Mode → Prop
  encoder : Nat → Encoder
  queue : Nat → List Nat -- the threads that submitted, the last one first

/-- The counts of everything; theorems hold for all of them. -/
structure World where
  threads : Nat
  streams : Nat
  encoders : Nat
  kinds : Nat
  queues : Nat

def Valid (w : World) (operation : Operation) : Prop :=
  operation.stream < w.streams ∧ operation.encoder < w.encoders ∧
  operation.kind < w.kinds ∧ operation.queue < w.queues

def initial : State :=
  { place := fun _ => Place.idle,
    held := fun _ _ _ => False,
    encoder := fun _ => Encoder.empty,
    queue := fun _ => [] }

/-- `f`, but `value` at `key`. -/
def update {α : Type} (f : Nat → α) (key : Nat) (value : α) (n : Nat) : α :=
  if n = key then value else f n

/-- What an access makes of its encoder. -/
def encoderAfter (t : Nat) : Phase → Encoder
  | Phase.record => Encoder.recorded t
  | Phase.submit => Encoder.submitted t
  | Phase.complete => Encoder.empty

def queuesAfter (s : State) (t : Nat) (a : Access) : Nat → List Nat :=
  match a.phase with
  | Phase.submit => update s.queue a.operation.queue (t :: s.queue a.operation.queue)
  | Phase.record => s.queue
  | Phase.complete => s.queue

/-- The effect of an access on the objects that it touches. -/
def write (s : State) (t : Nat) (a : Access) : State :=
  { s with encoder := update s.encoder a.operation.encoder (encoderAfter t a.phase),
           queue := queuesAfter s t a }

def next (a : Access) : Place :=
  match a.phase with
  | Phase.record => Place.before ⟨a.operation, Phase.submit⟩
  | Phase.submit => Place.before ⟨a.operation, Phase.complete⟩
  | Phase.complete => Place.done

def goTo (s : State) (t : Nat) (p : Place) : State :=
  { s with place := update s.place t p }

/-- The steps of a thread. An access is two steps, so that others can come between. -/
inductive Action where
  | start (operation : Operation)
  | acquire (l : Lock) (m : Mode)
  | enter (a : Access)
  | leave (a : Access)
  | release (l : Lock) (m : Mode)
  | finish

/-- `t` may have `l`: the others have it not at all, or all share it. -/
def Available (s : State) (t : Nat) (l : Lock) (m : Mode) : Prop :=
  ∀ u n, u ≠ t → s.held u l n → m = Mode.shared ∧ n = Mode.shared

/-- When a step can be taken. Locks are taken one by one, in any order. A lock that the next access needs in the
same mode is kept until then; any other may be let go outside of accesses. -/
def Enabled (w : World) (P : Policy) (s : State) (t : Nat) : Action → Prop
  | Action.start operation => s.place t = Place.idle ∧ Valid w operation
  | Action.acquire l m => (∃ a, s.place t = Place.before a ∧ P a l m) ∧
      (∀ n, ¬ s.held t l n) ∧ Available s t l m
  | Action.enter a => s.place t = Place.before a ∧ ∀ l m, P a l m → s.held t l m
  | Action.leave a => s.place t = Place.inside a
  | Action.release l m => s.held t l m ∧
      (s.place t = Place.done ∨ ∃ a, s.place t = Place.before a ∧ ¬ P a l m)
  | Action.finish => s.place t = Place.done ∧ ∀ l m, ¬ s.held t l m

def after (s : State) (t : Nat) : Action → State
  | Action.start operation => goTo s t (Place.before ⟨operation, Phase.record⟩)
  | Action.acquire l m =>
      { s with held := fun u k n => (u = t ∧ k = l ∧ n = m) ∨ s.held u k n }
  | Action.enter a => goTo s t (Place.inside a)
  | Action.leave a => goTo (write s t a) t (next a)
  | Action.release l m =>
      { s with held := fun u k n => s.held u k n ∧ ¬ (u = t ∧ k = l ∧ n = m) }
  | Action.finish => goTo s t Place.idle

/-- What some schedule leads to: any thread's any enabled step may come next. -/
inductive Reachable (w : World) (P : Policy) : State → Prop where
  | initial : Reachable w P initial
  | step (s : State) (t : Nat) (action : Action) (reached : Reachable w P s)
      (counted : t < w.threads) (enabled : Enabled w P s t action) : Reachable w P (after s t action)

/-- An object as an access sees it. -/
inductive Content where
  | encoder (state : Encoder)
  | queue (submissions : List Nat)

def look (s : State) : Object → Content
  | Object.encoder e => Content.encoder (s.encoder e)
  | Object.queue q => Content.queue (s.queue q)

/-- There is a state in which the access changes the object. -/
def Writes (a : Access) (o : Object) : Prop :=
  ∃ s t, look (write s t a) o ≠ look s o

def Conflict (a b : Access) (o : Object) : Prop :=
  Touches a o ∧ Touches b o ∧ (Writes a o ∨ Writes b o)

/-- Two threads are within conflicting accesses to `o` at once: neither access comes before the other. -/
def RaceOn (s : State) (o : Object) : Prop :=
  ∃ t a u b, t ≠ u ∧ s.place t = Place.inside a ∧ s.place u = Place.inside b ∧ Conflict a b o

/-- No schedule leads to a race, on any object. -/
def Safe (w : World) (P : Policy) : Prop :=
  ∀ s, Reachable w P s → ∀ o, ¬ RaceOn s o

/-- Some schedule has `t` within `a` while `u` is within `b`. -/
def Concurrent (w : World) (P : Policy) (t : Nat) (a : Access) (u : Nat) (b : Access) : Prop :=
  t ≠ u ∧ ∃ s, Reachable w P s ∧ s.place t = Place.inside a ∧ s.place u = Place.inside b

/-- Whatever any safe policy lets run at once, this one lets run at once, too. -/
def Maximal (w : World) (P : Policy) : Prop :=
  ∀ Q, Safe w Q → ∀ t a u b, Concurrent w Q t a u b → Concurrent w P t a u b

end Heddle
