//! A fleet with everything in it that a screen can show, for tests and for trying the screen.
