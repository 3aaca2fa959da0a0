/* Text in XML. */
#include "local/xml.h"

void
leat_local_xml_text(struct leat_buf *out, struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char letter = text.data[i];

        if (letter == '&')
            leat_buf_add_text(out, "&amp;");
        else if (letter == '<')
            leat_buf_add_text(out, "&lt;");
        else if (letter == '>')
            leat_buf_add_text(out, "&gt;");
        else if (letter == '"')
            leat_buf_add_text(out, "&quot;");
        else if (letter < 0x20)
            leat_buf_printf(out, "&#x%X;", letter);
        else
            leat_buf_add_byte(out, letter);
    }
}
