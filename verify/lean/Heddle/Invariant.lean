/-
Invariant: what holds in every reachable state, under every policy; and from it, that a policy which gives any two
conflicting accesses a lock that they cannot both have is safe.
-/
import Heddle.Semantics

namespace Heddle

theorem choose_then {c : Prop} [d : Decidable c] {α : Type} (x y : α) (h : c) : (if c then x else y) = x :=
  match d with
  | isTrue _ => rfl
  | isFalse no => absurd h no

theorem choose_else {c : Prop} [d : Decidable c] {α : Type} (x y : α) (h : ¬ c) : (if c then x else y) = y :=
  match d with
  | isTrue yes => absurd yes h
  | isFalse _ => rfl

theorem update_same {α : Type} (f : Nat → α) (key : Nat) (value : α) : update f key value key = value :=
  choose_then value (f key) rfl

theorem update_other {α : Type} (f : Nat → α) (key : Nat) (value : α) (n : Nat) (h : n ≠ key) :
    update f key value n = f n :=
  choose_else value (f n) h

/-- A step of `t` leaves where the others stand, and what they hold, as it was. -/
theorem place_of_others (s : State) (t : Nat) (action : Action) (u : Nat) (h : u ≠ t) :
    (after s t action).place u = s.place u := by
  cases action with
  | start operation => exact update_other s.place t _ u h
  | acquire l m => exact rfl
  | enter a => exact update_other s.place t _ u h
  | leave a => exact update_other s.place t _ u h
  | release l m => exact rfl
  | finish => exact update_other s.place t _ u h

theorem held_by_others (s : State) (t : Nat) (action : Action) (u : Nat) (h : u ≠ t) (l : Lock) (m : Mode) :
    (after s t action).held u l m ↔ s.held u l m := by
  cases action with
  | start operation => exact Iff.rfl
  | acquire k n =>
    exact Iff.intro
      (fun held => match held with
        | Or.inl new => absurd new.1 h
        | Or.inr old => old)
      Or.inr
  | enter a => exact Iff.rfl
  | leave a => exact Iff.rfl
  | release k n => exact Iff.intro (fun held => held.1) (fun held => And.intro held (fun new => h new.1))
  | finish => exact Iff.rfl

/-- A lock is one thread's, or several threads share it. -/
def Exclusion (s : State) : Prop :=
  ∀ t u l m n, t ≠ u → s.held t l m → s.held u l n → m = Mode.shared ∧ n = Mode.shared

/-- Who is within an access holds what the policy asks for. -/
def Covered (P : Policy) (s : State) : Prop :=
  ∀ t a l m, s.place t = Place.inside a → P a l m → s.held t l m

/-- Only the world's threads have operations, and only the world's. -/
def Placed (w : World) (s : State) : Prop :=
  ∀ t a, (s.place t = Place.before a ∨ s.place t = Place.inside a) → t < w.threads ∧ Valid w a.operation

theorem exclusion_kept (w : World) (P : Policy) (s : State) (t : Nat) (action : Action)
    (enabled : Enabled w P s t action) (ih : Exclusion s) : Exclusion (after s t action) := by
  cases action with
  | start operation => exact ih
  | acquire l m =>
    intro x y k i j different first second
    cases first with
    | inl new =>
      cases second with
      | inl also => exact absurd (new.1.trans also.1.symm) different
      | inr old =>
        have other : y ≠ t := fun same => different (new.1.trans same.symm)
        have here : s.held y l j := new.2.1 ▸ old
        have free := enabled.2.2 y j other here
        exact And.intro (new.2.2.trans free.1) free.2
    | inr before =>
      cases second with
      | inl new =>
        have other : x ≠ t := fun same => different (same.trans new.1.symm)
        have here : s.held x l i := new.2.1 ▸ before
        have free := enabled.2.2 x i other here
        exact And.intro free.2 (new.2.2.trans free.1)
      | inr old => exact ih x y k i j different before old
  | enter a => exact ih
  | leave a => exact ih
  | release l m =>
    intro x y k i j different first second
    exact ih x y k i j different first.1 second.1
  | finish => exact ih

/-- What `next` leads to is no access that is under way. -/
theorem next_is_not_inside (a b : Access) : next a ≠ Place.inside b := by
  cases a with
  | mk operation phase =>
    cases phase with
    | record => exact fun h => Place.noConfusion h
    | submit => exact fun h => Place.noConfusion h
    | complete => exact fun h => Place.noConfusion h

theorem covered_here (w : World) (P : Policy) (s : State) (t : Nat) (action : Action) (enabled : Enabled w P s t action)
    (ih : Covered P s) (a : Access) (l : Lock) (m : Mode) (inside : (after s t action).place t = Place.inside a)
    (needed : P a l m) : (after s t action).held t l m := by
  cases action with
  | start operation => exact Place.noConfusion ((update_same s.place t _).symm.trans inside)
  | acquire k n => exact Or.inr (ih t a l m inside needed)
  | enter b =>
    have entered : Place.inside b = Place.inside a := (update_same s.place t _).symm.trans inside
    have equal : b = a := Place.noConfusion entered (fun e => e)
    exact enabled.2 l m (equal.symm ▸ needed)
  | leave b => exact absurd ((update_same s.place t _).symm.trans inside) (next_is_not_inside b a)
  | release k n =>
    have outside : s.place t = Place.inside a := inside
    cases enabled.2 with
    | inl done => exact Place.noConfusion (done.symm.trans outside)
    | inr waiting =>
      exact match waiting with
        | ⟨b, is_before, _⟩ => Place.noConfusion (is_before.symm.trans outside)
  | finish => exact Place.noConfusion ((update_same s.place t _).symm.trans inside)

theorem covered_kept (w : World) (P : Policy) (s : State) (t : Nat) (action : Action)
    (enabled : Enabled w P s t action) (ih : Covered P s) : Covered P (after s t action) := by
  intro u a l m inside needed
  cases Nat.decEq u t with
  | isFalse other =>
    have old : s.held u l m := ih u a l m ((place_of_others s t action u other).symm.trans inside) needed
    exact (held_by_others s t action u other l m).2 old
  | isTrue same =>
    have here : (after s t action).place t = Place.inside a :=
      Eq.subst (motive := fun x => (after s t action).place x = Place.inside a) same inside
    exact Eq.subst (motive := fun x => (after s t action).held x l m) same.symm
      (covered_here w P s t action enabled ih a l m here needed)

theorem place_of_next (a b : Access) (h : next a = Place.before b ∨ next a = Place.inside b) :
    b.operation = a.operation := by
  cases a with
  | mk operation phase =>
    cases phase with
    | record =>
      cases h with
      | inl is_before => exact Place.noConfusion is_before (fun e => e ▸ rfl)
      | inr is_inside => exact Place.noConfusion is_inside
    | submit =>
      cases h with
      | inl is_before => exact Place.noConfusion is_before (fun e => e ▸ rfl)
      | inr is_inside => exact Place.noConfusion is_inside
    | complete =>
      cases h with
      | inl is_before => exact Place.noConfusion is_before
      | inr is_inside => exact Place.noConfusion is_inside

theorem placed_here (w : World) (P : Policy) (s : State) (t : Nat) (action : Action) (counted : t < w.threads)
    (enabled : Enabled w P s t action) (ih : Placed w s) (a : Access)
    (at_a : (after s t action).place t = Place.before a ∨ (after s t action).place t = Place.inside a) :
    t < w.threads ∧ Valid w a.operation := by
  cases action with
  | start operation =>
    have here := update_same s.place t (Place.before ⟨operation, Phase.record⟩)
    cases at_a with
    | inl h =>
      have equal : Access.mk operation Phase.record = a := Place.noConfusion (here.symm.trans h) (fun e => e)
      exact And.intro counted (equal ▸ enabled.2)
    | inr h => exact Place.noConfusion (here.symm.trans h)
  | acquire k n => exact ih t a at_a
  | enter b =>
    have here := update_same s.place t (Place.inside b)
    cases at_a with
    | inl h => exact Place.noConfusion (here.symm.trans h)
    | inr h =>
      have equal : b = a := Place.noConfusion (here.symm.trans h) (fun e => e)
      exact equal ▸ ih t b (Or.inl enabled.1)
  | leave b =>
    have here : (after s t (Action.leave b)).place t = next b := update_same s.place t (next b)
    have same : a.operation = b.operation := place_of_next b a (match at_a with
      | Or.inl h => Or.inl (here.symm.trans h)
      | Or.inr h => Or.inr (here.symm.trans h))
    have old := ih t b (Or.inr enabled)
    exact And.intro counted (same.symm ▸ old.2)
  | release k n => exact ih t a at_a
  | finish =>
    have here := update_same s.place t Place.idle
    cases at_a with
    | inl h => exact Place.noConfusion (here.symm.trans h)
    | inr h => exact Place.noConfusion (here.symm.trans h)

theorem placed_kept (w : World) (P : Policy) (s : State) (t : Nat) (action : Action) (counted : t < w.threads)
    (enabled : Enabled w P s t action) (ih : Placed w s) : Placed w (after s t action) := by
  intro u a at_a
  cases Nat.decEq u t with
  | isFalse other =>
    have same := place_of_others s t action u other
    exact ih u a (match at_a with
      | Or.inl h => Or.inl (same.symm.trans h)
      | Or.inr h => Or.inr (same.symm.trans h))
  | isTrue same =>
    have here : (after s t action).place t = Place.before a ∨ (after s t action).place t = Place.inside a :=
      Eq.subst (motive := fun x => (after s t action).place x = Place.before a ∨
        (after s t action).place x = Place.inside a) same at_a
    exact Eq.subst (motive := fun x => x < w.threads ∧ Valid w a.operation) same.symm
      (placed_here w P s t action counted enabled ih a here)

theorem reachable_exclusion (w : World) (P : Policy) (s : State) (h : Reachable w P s) : Exclusion s := by
  induction h with
  | initial => exact fun _ _ _ _ _ _ held _ => False.elim held
  | step s t action reached counted enabled ih => exact exclusion_kept w P s t action enabled ih

theorem reachable_covered (w : World) (P : Policy) (s : State) (h : Reachable w P s) : Covered P s := by
  induction h with
  | initial => exact fun _ _ _ _ inside _ => Place.noConfusion inside
  | step s t action reached counted enabled ih => exact covered_kept w P s t action enabled ih

theorem reachable_placed (w : World) (P : Policy) (s : State) (h : Reachable w P s) : Placed w s := by
  induction h with
  | initial =>
    intro t a at_a
    cases at_a with
    | inl is_before => exact Place.noConfusion is_before
    | inr is_inside => exact Place.noConfusion is_inside
  | step s t action reached counted enabled ih => exact placed_kept w P s t action counted enabled ih

/-- Any two conflicting accesses need a common lock, not both shared. -/
def Separating (P : Policy) : Prop :=
  ∀ a b o, Touches a o → Touches b o → ∃ l m n, P a l m ∧ P b l n ∧ ¬ (m = Mode.shared ∧ n = Mode.shared)

theorem separating_is_safe (w : World) (P : Policy) (separating : Separating P) : Safe w P := by
  intro s reached o race
  exact match race with
    | ⟨t, a, u, b, different, at_a, at_b, conflict⟩ =>
      match separating a b o conflict.1 conflict.2.1 with
      | ⟨l, m, n, need_a, need_b, apart⟩ =>
        apart (reachable_exclusion w P s reached t u l m n different
          (reachable_covered w P s reached t a l m at_a need_a)
          (reachable_covered w P s reached u b l n at_b need_b))

end Heddle
