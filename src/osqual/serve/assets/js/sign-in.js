// Back to where the reader was, filters and all: browsers carry a fragment over to the next page.
"use strict";

const form = document.querySelector("form");
form.action += location.hash;
