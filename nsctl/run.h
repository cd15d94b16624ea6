// run.h: the jobs of the program nsctl, each from its own arguments to its exit status.
#pragma once

int run_main(int argc, char **argv);    // nsctl run [OPTIONS] [-- COMMAND ARGS...]
int enter_main(int argc, char **argv);  // nsctl enter STATE-DIR|PID [-- COMMAND ARGS...]
int status_main(int argc, char **argv); // nsctl status STATE-DIR [--json]
// nsctl helper CHANNEL-FD WORKERS PID|NETNS-FILE, for the engine only.
int netns_helper_main(int argc, char **argv);
