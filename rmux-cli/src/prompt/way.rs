//! Whether the terminal or a program asks, as ssh decides it.
//!
//! The terminal, through `/dev/tty` so that the streams may be redirected; where there is none, the
//! program that `SSH_ASKPASS` names, if there is a display to ask on. `SSH_ASKPASS_REQUIRE` overrules
//! that: `never`, `prefer` (the program where there is a display) or `force` (the program in any
//! case). Must not know what is asked.

use std::ffi::OsString;

/// Names the program that asks.
const PROGRAM: &str = "SSH_ASKPASS";
/// Says when it asks.
const REQUIRE: &str = "SSH_ASKPASS_REQUIRE";
/// One of these tells of a display.
const DISPLAYS: [&str; 2] = ["DISPLAY", "WAYLAND_DISPLAY"];
/// The program that asks where none is named, as ssh's.
const USUAL_PROGRAM: &str = "/usr/bin/ssh-askpass";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Terminal,
    Program(OsString),
}

/// Who asks which kind of question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ways {
    /// For what must be typed.
    pub(super) typed: Way,
    /// For a permission: a program that shows a button, if there is one.
    pub(super) permission: Way,
}

impl Ways {
    /// Those of an environment; `None` where nobody can be asked.
    pub(super) fn choose(
        variable: impl Fn(&str) -> Option<OsString>,
        has_terminal: impl FnOnce() -> bool,
    ) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let require = set(REQUIRE).unwrap_or_default();
        let says = |word: &str| require.eq_ignore_ascii_case(word);
        let display = DISPLAYS.into_iter().any(|name| set(name).is_some());
        let program = (says("force") || (display && !says("never")))
            .then(|| Way::Program(set(PROGRAM).unwrap_or_else(|| USUAL_PROGRAM.into())));
        let prefers_program = says("force") || (says("prefer") && display);
        let terminal = has_terminal().then_some(Way::Terminal);
        let typed = if prefers_program {
            program.clone()
        } else {
            terminal.or_else(|| program.clone())
        }?;
        Some(Self {
            permission: program.unwrap_or_else(|| typed.clone()),
            typed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(variables: &[(&str, &str)], has_terminal: bool) -> Option<Ways> {
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        };
        Ways::choose(variable, || has_terminal)
    }

    fn way(variables: &[(&str, &str)], has_terminal: bool) -> Option<Way> {
        ways(variables, has_terminal).map(|ways| ways.typed)
    }

    fn program(path: &str) -> Option<Way> {
        Some(Way::Program(path.into()))
    }

    const ASK: (&str, &str) = ("SSH_ASKPASS", "/bin/ask");
    const DISPLAY: (&str, &str) = ("DISPLAY", ":0");

    #[test]
    fn the_terminal_asks_unless_there_is_none() {
        assert_eq!(way(&[ASK, DISPLAY], true), Some(Way::Terminal));
        assert_eq!(way(&[ASK, DISPLAY], false), program("/bin/ask"));
        let wayland = ("WAYLAND_DISPLAY", "w");
        assert_eq!(way(&[ASK, wayland], false), program("/bin/ask"));
        assert_eq!(way(&[DISPLAY], false), program(USUAL_PROGRAM));
        assert_eq!(way(&[ASK], false), None, "no display to ask on");
        assert_eq!(way(&[ASK, ("DISPLAY", "")], false), None);
        assert_eq!(way(&[], true), Some(Way::Terminal));
        assert_eq!(way(&[], false), None);
    }

    #[test]
    fn ssh_askpass_require_overrules_that() {
        for has_terminal in [false, true] {
            let force = ("SSH_ASKPASS_REQUIRE", "Force");
            assert_eq!(way(&[ASK, force], has_terminal), program("/bin/ask"));
            let prefer = ("SSH_ASKPASS_REQUIRE", "prefer");
            let preferred = way(&[ASK, DISPLAY, prefer], has_terminal);
            assert_eq!(preferred, program("/bin/ask"));
        }
        let prefer = ("SSH_ASKPASS_REQUIRE", "prefer");
        assert_eq!(way(&[ASK, prefer], true), Some(Way::Terminal), "no display");
        assert_eq!(way(&[ASK, prefer], false), None);
        let never = ("SSH_ASKPASS_REQUIRE", "never");
        assert_eq!(way(&[ASK, DISPLAY, never], false), None);
        assert_eq!(way(&[ASK, DISPLAY, never], true), Some(Way::Terminal));
    }

    #[test]
    fn a_permission_is_for_a_program_with_a_button() {
        let both = ways(&[ASK, DISPLAY], true).unwrap();
        assert_eq!(Some(both.permission), program("/bin/ask"));
        let terminal = ways(&[], true).unwrap();
        assert_eq!(terminal.permission, Way::Terminal);
    }
}
