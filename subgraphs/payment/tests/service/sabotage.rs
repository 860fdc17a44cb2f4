//! The checkers of this suite, seen to fail under each switch that breaks their promise.

#[test]
fn the_checkers_see_broken_promises() {
    let this = std::env::current_exe().unwrap();
    for (switch, test, words) in [
        ("skip_inbox", "webhooks::fifty_duplicates_are_one_change", "left: "),
        ("ack_early", "faults::a_look_without_an_answer_is_repeated", "lease is over"),
    ] {
        let run = std::process::Command::new(&this).args(["--exact", test]).env("BERTH_SABOTAGE", switch).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(!run.status.success() && said.contains(words), "{switch} was not seen: {said}");
    }
}
