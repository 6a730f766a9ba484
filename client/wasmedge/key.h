/*
 * key.h - the user's key: who appended native code to a file?
 *
 * Native code in a file runs only when its MAC fits under the key of the user who runs it, so code
 * from elsewhere never does. The key is a file of VM_MAC_KEY_BYTES random bytes that only its owner
 * can read, "$XDG_STATE_HOME/wasmedge/key", or below ~/.local/state.
 */
#pragma once

#include "vm/vm.h"

/*
 * Read the key.
 *
 * Returns VM_E_NOT_FOUND there is none, or no folder for it is known
 *         VM_E_ARGUMENT  it belongs to somebody else, others can read it, or it is no key
 *         VM_E_IO
 */
VM_MUST_CHECK enum vm_status key_read(uint8_t out[VM_MAC_KEY_BYTES], struct vm_error *err);

/*
 * The same, making the key first when there is none. Of several processes that do so at once
 * all get the same.
 */
VM_MUST_CHECK enum vm_status key_read_or_make(uint8_t out[VM_MAC_KEY_BYTES], struct vm_error *err);
