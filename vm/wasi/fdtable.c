/*
 * fdtable.c - numbers for open files.
 */
#include "vm/wasi/fdtable.h"

#include <stdlib.h>

static void
close_slot(struct wasi_fd *fd)
{
	if (fd->file != NULL)
		fd->file->ops->close(fd->file);
	free(fd->preopen);
	*fd = (struct wasi_fd){ 0 };
}

void
wasi_fds_clear(struct wasi_fds *fds)
{
	for (uint32_t i = 0; i < fds->count; i++)
		close_slot(&fds->slots[i]);
	free(fds->slots);
	*fds = (struct wasi_fds){ 0 };
}

static enum wasi_errno
grow(struct wasi_fds *fds)
{
	if (fds->count == WASI_FDS_MAX)
		return WASI_EMFILE;
	if (fds->count < fds->capacity)
		return WASI_SUCCESS;
	uint32_t capacity = fds->capacity == 0 ? 8 : fds->capacity * 2;
	struct wasi_fd *slots = realloc(fds->slots, capacity * sizeof *slots);
	if (slots == NULL)
		return WASI_ENOMEM;
	fds->slots = slots;
	fds->capacity = capacity;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fds_add(struct wasi_fds *fds, const struct wasi_fd *fd, uint32_t *out_number)
{
	uint32_t number = 0;

	while (number < fds->count && fds->slots[number].file != NULL)
		number++;
	if (number == fds->count) {
		enum wasi_errno e = grow(fds);
		if (e != WASI_SUCCESS)
			return e;
		fds->count++;
	}
	fds->slots[number] = *fd;
	*out_number = number;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fds_get(const struct wasi_fds *fds, uint32_t number, uint64_t rights, struct wasi_fd **out)
{
	if (number >= fds->count || fds->slots[number].file == NULL)
		return WASI_EBADF;
	struct wasi_fd *fd = &fds->slots[number];
	if (fd->read_only && (rights & WASI_RIGHTS_CHANGE))
		return WASI_EROFS;
	if ((fd->rights_base & rights) != rights)
		return WASI_ENOTCAPABLE;
	*out = fd;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fds_close(struct wasi_fds *fds, uint32_t number)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_fds_get(fds, number, 0, &fd);

	if (e == WASI_SUCCESS)
		close_slot(fd);
	return e;
}

enum wasi_errno
wasi_fds_renumber(struct wasi_fds *fds, uint32_t from, uint32_t to)
{
	struct wasi_fd *source;
	struct wasi_fd *target;
	enum wasi_errno e = wasi_fds_get(fds, from, 0, &source);

	if (e == WASI_SUCCESS)
		e = wasi_fds_get(fds, to, 0, &target);
	if (e != WASI_SUCCESS || from == to)
		return e;
	close_slot(target);
	*target = *source;
	*source = (struct wasi_fd){ 0 };
	return WASI_SUCCESS;
}
