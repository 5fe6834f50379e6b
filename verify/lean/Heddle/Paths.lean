/-
Paths: schedules, built step by step, that lead threads into accesses. They show that states are reachable: the races
of strategies that do not hold, and all that `per_encoder` lets run at once.
-/
import Heddle.Invariant
import Heddle.Strategies

namespace Heddle

/-- Steps of `t` alone lead from `s` to where `t` stands at `p` and holds just `H`; all others are as they were. -/
def Leads (w : World) (P : Policy) (t : Nat) (s : State) (p : Place) (H : Lock → Mode → Prop) : Prop :=
  ∃ s1, Reachable w P s1 ∧ s1.place t = p ∧ (∀ l m, s1.held t l m ↔ H l m) ∧
    ∀ u, u ≠ t → s1.place u = s.place u ∧ ∀ l m, s1.held u l m ↔ s.held u l m

theorem one_step (w : World) (P : Policy) (t : Nat) (s : State) (action : Action) (p : Place)
    (H : Lock → Mode → Prop) (reached : Reachable w P s) (counted : t < w.threads)
    (enabled : Enabled w P s t action) (at_p : (after s t action).place t = p)
    (hands : ∀ l m, (after s t action).held t l m ↔ H l m) : Leads w P t s p H :=
  ⟨after s t action, Reachable.step s t action reached counted enabled, at_p, hands,
    fun u other => And.intro (place_of_others s t action u other) (held_by_others s t action u other)⟩

/-- What can be had stays so while only `t` itself goes on. -/
theorem still_available (s s1 : State) (t : Nat) (l : Lock) (m : Mode)
    (others : ∀ u, u ≠ t → s1.place u = s.place u ∧ ∀ l m, s1.held u l m ↔ s.held u l m)
    (free : Available s t l m) : Available s1 t l m :=
  fun u n other held => free u n other (((others u other).2 l n).1 held)

/-- One path behind another. -/
theorem and_then (w : World) (P : Policy) (t : Nat) (s : State) (p q : Place) (H K : Lock → Mode → Prop)
    (first : Leads w P t s p H)
    (second : ∀ s1, Reachable w P s1 → s1.place t = p → (∀ l m, s1.held t l m ↔ H l m) →
      (∀ l m, Available s t l m → Available s1 t l m) → Leads w P t s1 q K) : Leads w P t s q K :=
  match first with
  | ⟨s1, reached, at_p, hands, others⟩ =>
    match second s1 reached at_p hands (fun l m free => still_available s s1 t l m others free) with
    | ⟨s2, reached2, at_q, hands2, others2⟩ =>
      ⟨s2, reached2, at_q, hands2, fun u other =>
        And.intro ((others2 u other).1.trans (others u other).1)
          (fun l m => Iff.trans ((others2 u other).2 l m) ((others u other).2 l m))⟩

def nothing : Lock → Mode → Prop := fun _ _ => False

def just (l : Lock) (m : Mode) : Lock → Mode → Prop := fun k n => k = l ∧ n = m

def also (l : Lock) (m : Mode) (H : Lock → Mode → Prop) : Lock → Mode → Prop :=
  fun k n => (k = l ∧ n = m) ∨ H k n

theorem by_start (w : World) (P : Policy) (t : Nat) (s : State) (operation : Operation) (reached : Reachable w P s)
    (counted : t < w.threads) (valid : Valid w operation) (idle : s.place t = Place.idle)
    (empty : ∀ l m, ¬ s.held t l m) :
    Leads w P t s (Place.before ⟨operation, Phase.record⟩) nothing :=
  one_step w P t s (Action.start operation) _ _ reached counted (And.intro idle valid) (update_same s.place t _)
    (fun l m => Iff.intro (fun held => empty l m held) (fun no => False.elim no))

theorem by_acquire (w : World) (P : Policy) (t : Nat) (s : State) (a : Access) (l : Lock) (m : Mode)
    (H : Lock → Mode → Prop) (reached : Reachable w P s) (counted : t < w.threads)
    (waiting : s.place t = Place.before a) (needed : P a l m) (hands : ∀ k n, s.held t k n ↔ H k n)
    (new : ∀ n, ¬ H l n) (free : Available s t l m) :
    Leads w P t s (Place.before a) (also l m H) :=
  one_step w P t s (Action.acquire l m) _ _ reached counted
    (And.intro ⟨a, And.intro waiting needed⟩ (And.intro (fun n held => new n ((hands l n).1 held)) free))
    waiting
    (fun k n => Iff.intro
      (fun held => match held with
        | Or.inl taken => Or.inl taken.2
        | Or.inr old => Or.inr ((hands k n).1 old))
      (fun held => match held with
        | Or.inl taken => Or.inl (And.intro rfl taken)
        | Or.inr old => Or.inr ((hands k n).2 old)))

theorem by_enter (w : World) (P : Policy) (t : Nat) (s : State) (a : Access) (H : Lock → Mode → Prop)
    (reached : Reachable w P s) (counted : t < w.threads) (waiting : s.place t = Place.before a)
    (hands : ∀ l m, s.held t l m ↔ H l m) (enough : ∀ l m, P a l m → H l m) :
    Leads w P t s (Place.inside a) H :=
  one_step w P t s (Action.enter a) _ _ reached counted
    (And.intro waiting (fun l m needed => (hands l m).2 (enough l m needed)))
    (update_same s.place t _) hands

theorem by_leave (w : World) (P : Policy) (t : Nat) (s : State) (a : Access) (H : Lock → Mode → Prop)
    (reached : Reachable w P s) (counted : t < w.threads) (inside : s.place t = Place.inside a)
    (hands : ∀ l m, s.held t l m ↔ H l m) : Leads w P t s (next a) H :=
  one_step w P t s (Action.leave a) _ _ reached counted inside (update_same s.place t (next a)) hands

theorem by_release (w : World) (P : Policy) (t : Nat) (s : State) (a : Access) (l : Lock) (m : Mode)
    (H K : Lock → Mode → Prop) (reached : Reachable w P s) (counted : t < w.threads)
    (waiting : s.place t = Place.before a) (unneeded : ¬ P a l m) (hands : ∀ k n, s.held t k n ↔ H k n)
    (had : H l m) (left_over : ∀ k n, (H k n ∧ ¬ (k = l ∧ n = m)) ↔ K k n) :
    Leads w P t s (Place.before a) K :=
  one_step w P t s (Action.release l m) _ _ reached counted
    (And.intro ((hands l m).2 had) (Or.inr ⟨a, And.intro waiting unneeded⟩))
    waiting
    (fun k n => Iff.intro
      (fun held => (left_over k n).1 (And.intro ((hands k n).1 held.1)
        (fun same => held.2 (And.intro rfl same))))
      (fun kept => And.intro ((hands k n).2 ((left_over k n).2 kept).1)
        (fun same => ((left_over k n).2 kept).2 same.2)))

/-- A thread comes to record, where that needs one lock, and the lock can be had. -/
theorem record_under_one_lock (w : World) (P : Policy) (t : Nat) (s : State) (operation : Operation) (l : Lock)
    (m : Mode) (only : ∀ k n, P ⟨operation, Phase.record⟩ k n ↔ just l m k n) (reached : Reachable w P s)
    (counted : t < w.threads) (valid : Valid w operation) (idle : s.place t = Place.idle)
    (empty : ∀ k n, ¬ s.held t k n) (free : Available s t l m) :
    Leads w P t s (Place.inside ⟨operation, Phase.record⟩) (also l m nothing) :=
  and_then w P t s _ _ _ _ (by_start w P t s operation reached counted valid idle empty)
    (fun s1 reached1 waiting1 hands1 free1 =>
      and_then w P t s1 _ _ _ _
        (by_acquire w P t s1 ⟨operation, Phase.record⟩ l m nothing reached1 counted waiting1
          ((only l m).2 (And.intro rfl rfl)) hands1 (fun _ no => no) (free1 l m free))
        (fun s2 reached2 waiting2 hands2 _ =>
          by_enter w P t s2 ⟨operation, Phase.record⟩ _ reached2 counted waiting2 hands2
            (fun k n needed => Or.inl ((only k n).1 needed))))

theorem record_under_no_lock (w : World) (P : Policy) (t : Nat) (s : State) (operation : Operation)
    (none : ∀ k n, ¬ P ⟨operation, Phase.record⟩ k n) (reached : Reachable w P s)
    (counted : t < w.threads) (valid : Valid w operation) (idle : s.place t = Place.idle)
    (empty : ∀ k n, ¬ s.held t k n) :
    Leads w P t s (Place.inside ⟨operation, Phase.record⟩) nothing :=
  and_then w P t s _ _ _ _ (by_start w P t s operation reached counted valid idle empty)
    (fun s1 reached1 waiting1 hands1 _ =>
      by_enter w P t s1 ⟨operation, Phase.record⟩ _ reached1 counted waiting1 hands1
        (fun k n needed => absurd needed (none k n)))

/-- One thread's path from the beginning, then another's: both are where these lead. -/
theorem one_and_other (w : World) (P : Policy) (t u : Nat) (a b : Access) (H K : Lock → Mode → Prop)
    (different : t ≠ u) (first : Leads w P t initial (Place.inside a) H)
    (second : ∀ s, Reachable w P s → s.place u = Place.idle → (∀ l m, ¬ s.held u l m) →
      (∀ l m, (∀ n, H l n → m = Mode.shared ∧ n = Mode.shared) → Available s u l m) →
      Leads w P u s (Place.inside b) K) :
    ∃ s, Reachable w P s ∧ s.place t = Place.inside a ∧ s.place u = Place.inside b :=
  match first with
  | ⟨s1, reached1, at_a, hands1, others1⟩ =>
    have apart : u ≠ t := fun same => different same.symm
    have free : ∀ l m, (∀ n, H l n → m = Mode.shared ∧ n = Mode.shared) → Available s1 u l m :=
      fun l m agree x n _ held =>
        match Nat.decEq x t with
        | isTrue same => agree n ((hands1 l n).1 (same ▸ held))
        | isFalse other => False.elim (((others1 x other).2 l n).1 held)
    match second s1 reached1 (others1 u apart).1 (fun l m held => ((others1 u apart).2 l m).1 held) free with
    | ⟨s2, reached2, at_b, _, others2⟩ =>
      ⟨s2, reached2, (others2 t different).1.trans at_a, at_b⟩

/-- Two threads record at once, where each needs one lock, and these are two locks, or shared. -/
theorem two_record (w : World) (P : Policy) (t u : Nat) (first second : Operation) (k l : Lock) (m n : Mode)
    (only_first : ∀ i j, P ⟨first, Phase.record⟩ i j ↔ just k m i j)
    (only_second : ∀ i j, P ⟨second, Phase.record⟩ i j ↔ just l n i j)
    (different : t ≠ u) (counted_t : t < w.threads) (counted_u : u < w.threads)
    (valid_first : Valid w first) (valid_second : Valid w second)
    (agree : l = k → n = Mode.shared ∧ m = Mode.shared) :
    Concurrent w P t ⟨first, Phase.record⟩ u ⟨second, Phase.record⟩ :=
  And.intro different
    (one_and_other w P t u _ _ _ (also l n nothing) different
      (record_under_one_lock w P t initial first k m only_first Reachable.initial counted_t valid_first rfl
        (fun _ _ no => no) (fun _ _ _ no => False.elim no))
      (fun s reached idle empty free =>
        record_under_one_lock w P u s second l n only_second reached counted_u valid_second idle empty
          (free l n (fun j held => match held with
            | Or.inl taken => And.intro (agree taken.1).1 (taken.2.trans (agree taken.1).2)
            | Or.inr no => False.elim no))))

end Heddle
