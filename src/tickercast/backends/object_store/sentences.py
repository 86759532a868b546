"""Error messages of object stores on a network, whichever it is; `{url}`, `{target}` and `{message}` are filled in."""

NOT_THERE = "{url} holds no {target}. Send it again."
ANOTHER_GENERATION = "{url} has another generation of {target}: {message}. Read it, then decide again."
DAMAGED = "{target} was damaged between here and {url}: its checksum differs. Try again."
TOO_MANY = "{url} limits the rate of requests: {message}. Wait a minute, then try again."
NO_BUCKET = "{url} was not found: {message}. Create the bucket, or correct TICKERCAST_BUCKET."
NOT_ACCEPTED = "{url} does not accept {target}: {message}. Correct the name, or TICKERCAST_BUCKET."
NO_ANSWER = "{url} does not answer: {message}. Check the network, then try again."
