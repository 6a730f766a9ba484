#include "plugins/common/proto.h"

static bool
take_varint(struct vm_str *message, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 10 && i < message->len; i++) {
		uint8_t byte = (uint8_t)message->data[i];
		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte < 0x80) {
			message->data += i + 1;
			message->len -= i + 1;
			*out = value;
			return true;
		}
	}
	return false;
}

static bool
take_bytes(struct vm_str *message, uint64_t len, struct vm_str *out)
{
	if (len > message->len)
		return false;
	*out = (struct vm_str){ message->data, (size_t)len };
	message->data += len;
	message->len -= (size_t)len;
	return true;
}

bool
nn_proto_next(struct vm_str *message, struct nn_field *out)
{
	struct vm_str rest = *message;
	struct nn_field field = { 0 };
	uint64_t key;
	uint64_t len;
	bool is_good = false;

	if (!take_varint(&rest, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
		return false;
	field.number = (uint32_t)(key >> 3);
	switch (key & 7) {
	case 0:
		is_good = take_varint(&rest, &field.value);
		break;
	case 1:
		is_good = take_bytes(&rest, 8, &field.bytes);
		break;
	case 2:
		field.is_bytes = true;
		is_good = take_varint(&rest, &len) && take_bytes(&rest, len, &field.bytes);
		break;
	case 5:
		is_good = take_bytes(&rest, 4, &field.bytes);
		break;
	default:
		break;
	}
	if (!is_good)
		return false;
	*message = rest;
	*out = field;
	return true;
}
