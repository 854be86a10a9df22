// Whether a ring that was set up can be used: some sandboxes grant the one and refuse the other.
#pragma once

namespace uring {

// Reads a byte by a ring of its own. 0 or -errno.
int first_read();

}  // namespace uring
