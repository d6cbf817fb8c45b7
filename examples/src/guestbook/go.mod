module guestbook

go 1.26.0
