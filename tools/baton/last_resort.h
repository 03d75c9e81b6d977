#pragma once

namespace baton {

// Once, at the start of main(): from here on a failing `new` takes what the tensors' pool has cached, and whatever else
// would abort the process (an exception that nothing can catch, as where memory has run out) ends it with a message
// and exit code 1.
void prepare_last_resort();

}  // namespace baton
