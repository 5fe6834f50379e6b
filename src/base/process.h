/* Process: what a forked child can go on with. A child has one thread, so whatever others were in the middle of is
 * torn apart in it: where anything was in use at the fork, every call answers HD_FORKED there. Where nothing was,
 * the child may begin anew.
 *
 * Law: ending <= uses. Uses are the devices, from their opening until their last memory has gone, and
 * threads that nobody joins, from the moment when that is so until they end.
 *
 * A fork waits for what is about to end by itself: for a device that is being taken down at most a second, for
 * threads of the library at work, whose last references may be what keeps a device, some milliseconds.
 *
 * Thread-safety: any thread. */
#ifndef HD_BASE_PROCESS_H
#define HD_BASE_PROCESS_H

#include <stdbool.h>

/* A use begins. restart: called in a child that was forked while nothing was in use, before it goes on: puts locks
 * right that a thread of the parent may have held. The same in each call, or NULL. */
void hd_process_begin_use(void (*restart)(void));
/* A use will end without anybody's doing, then has ended. */
void hd_process_begin_end(void);
void hd_process_end_use(void);

/* A thread of the library does some work that may hold references, then does not. */
void hd_process_begin_work(void);
void hd_process_end_work(void);

/* True in a child that was forked while anything was in use. */
bool hd_process_is_forked(void);

/* Ends a child, forked by the program inside a callback, when the callback returns: its only thread is one of the
 * library's, with nothing left to do. Nothing of the parent's is flushed or called. */
void hd_process_end_child(void);

#endif
