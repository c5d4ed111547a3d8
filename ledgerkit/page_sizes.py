"""Rows of one page of a list: of the admin's lists and confirmation pages, and of the API's lists."""

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500  # of the API, by `page_size`
