//! The screen as a person sees it: every view at every size, and what keys do.

mod access;
mod actions;
mod every_size;
mod failures;
mod filters;
mod first_steps;
mod groups;
mod keys;
mod logs;
mod many;
mod over_time;
mod past;
mod practice;
mod problems;
mod run_news;
mod runs;
mod screens;
mod silences;
mod sizes;
mod sorting;
mod starting;
mod themes;
mod tier_keys;
mod trial;
